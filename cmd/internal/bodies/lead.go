package bodies

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/gc"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/blobstore/scrub"
	"github.com/rookery-mail/rookery/blobstore/setting"
)

// Partition is what packing, collecting and verifying ask of a partition that this node leads.
type Partition interface {
	packer.Partition
	gc.Partition
	scrub.Partition
	// SetMode says where bodies are to be: in object storage, or at home.
	SetMode(ctx context.Context, object bool) error
}

// lead is the work for one partition that this node leads.
type lead struct {
	part    Partition
	station *station
	worker  *packer.Worker
}

// Lead packs and collects for a partition until ctx ends: as long as this node leads it. Where there is no
// setting it waits for one.
func (s *Service) Lead(ctx context.Context, p Partition) {
	for {
		st := s.await(ctx)
		if st == nil {
			return
		}
		s.work(ctx, st, p)
	}
}

// work works for a partition until ctx ends or the station is closed.
func (s *Service) work(ctx context.Context, st *station, p Partition) {
	defer st.users.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(st.life, cancel)()
	if st.packer == nil {
		<-ctx.Done()
		return
	}
	l := &lead{part: p, station: st, worker: st.packer.Worker(p)}
	s.enlist(p.Group(), l)
	defer s.dismiss(p.Group(), l)
	var running sync.WaitGroup
	running.Go(func() { l.worker.Run(ctx) })
	running.Go(func() { st.collector.Run(ctx, p, l.worker) })
	running.Go(func() { s.keepMode(ctx, p, st.setting) })
	running.Wait()
}

func (s *Service) enlist(g uint16, l *lead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leads[g] = l
}

func (s *Service) dismiss(g uint16, l *lead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = s.before.plus(packed(l.worker.Status()))
	if s.leads[g] == l {
		delete(s.leads, g)
	}
}

// borrowLead gives the work for a partition, or nil where this node does not lead it or no store is set.
// The caller tells its station's users when it is done.
func (s *Service) borrowLead(g uint16) *lead {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.leads[g]
	if l == nil || l.station != s.station {
		return nil
	}
	l.station.users.Add(1)
	return l
}

// modeAgain is how long a partition that did not take its mode is left alone.
const modeAgain = 5 * time.Second

// keepMode tells a partition where its bodies are to be, until it knows.
func (s *Service) keepMode(ctx context.Context, p Partition, c setting.Setting) {
	for {
		done, err := setMode(ctx, p, !c.Embedded)
		if done || ctx.Err() != nil {
			return
		}
		if err != nil {
			s.c.Logger.Warn("a partition does not know yet where its bodies are to be", "partition", p.Group(), "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(modeAgain):
		}
	}
}

// setMode tells a partition where its bodies are to be, unless they are on their way there.
func setMode(ctx context.Context, p Partition, packed bool) (done bool, err error) {
	backlog, err := p.Status(ctx)
	if err != nil {
		return false, fmt.Errorf("read the mode of partition %d: %w", p.Group(), err)
	}
	if toPacks := backlog.Mode == blobstore.Listing || backlog.Mode == blobstore.Packed; toPacks == packed {
		return true, nil
	}
	if err := p.SetMode(ctx, packed); err != nil {
		return false, fmt.Errorf("set the mode of partition %d: %w", p.Group(), err)
	}
	return true, nil
}
