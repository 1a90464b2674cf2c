package bodies

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore/gc"
	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// each calls f for all partitions that this node leads at once, and adds up what is left.
func (s *Service) each(ctx context.Context, f func(context.Context, *lead) adminapi.BlobWork) adminapi.BlobWork {
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		sum     = adminapi.BlobWork{Problems: []string{}}
	)
	for _, known := range s.leading() {
		l := s.borrowLead(known.part.Group())
		if l == nil {
			continue
		}
		running.Go(func() {
			defer l.station.users.Done()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(l.station.life, cancel)()
			w := f(ctx, l)
			mu.Lock()
			defer mu.Unlock()
			sum = Sum(sum, w)
		})
	}
	running.Wait()
	return sum
}

// Sum adds what is left of two pieces of work.
func Sum(a, b adminapi.BlobWork) adminapi.BlobWork {
	return adminapi.BlobWork{Left: a.Left + b.Left, Bytes: a.Bytes + b.Bytes, Problems: append(a.Problems, b.Problems...),
		Partitions: append(a.Partitions, b.Partitions...)}
}

// problem is work that failed in a partition. The end of the caller's time is none.
func (l *lead) problem(err error) adminapi.BlobWork {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return adminapi.BlobWork{}
	}
	return adminapi.BlobWork{Problems: []string{fmt.Sprintf("partition %d: %v", l.part.Group(), err)}}
}

// Flush packs what is staged in the partitions that this node leads, until ctx ends, and says what is left.
func (s *Service) Flush(ctx context.Context) adminapi.BlobWork {
	return s.each(ctx, func(ctx context.Context, l *lead) adminapi.BlobWork {
		w := adminapi.BlobWork{Partitions: []uint16{l.part.Group()}}
		err := l.station.failed
		if err == nil { // a setting that is new may not have come through
			_, err = setMode(ctx, l.part, !l.station.setting.Embedded)
		}
		if err == nil {
			err = l.worker.Flush(ctx)
		}
		if err == nil {
			return w
		}
		w = Sum(w, l.problem(err))
		looking, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		backlog, err := l.part.Status(looking)
		w = Sum(w, l.problem(err))
		w.Left, w.Bytes = int(backlog.Bodies), backlog.Bytes
		return w
	})
}

// policy is what the setting says of collecting.
func policy(c setting.Setting, grace time.Duration) gc.Policy {
	if grace <= 0 {
		grace = -1 // 0 stands for the default
	}
	return gc.Policy{Grace: grace, Target: c.PackBytes, Retired: retired(c)}
}

// rounds is how often a collection is planned anew: what one round rewrites the next can delete.
const rounds = 8

// Collect collects in the partitions that this node leads, until ctx ends, and says what is left. A grace
// below 0 is the setting's.
func (s *Service) Collect(ctx context.Context, grace time.Duration) adminapi.BlobWork {
	return s.each(ctx, func(ctx context.Context, l *lead) adminapi.BlobWork {
		c := l.station.setting
		p := policy(c, c.Grace())
		if grace >= 0 {
			p = policy(c, grace)
		}
		w := adminapi.BlobWork{Partitions: []uint16{l.part.Group()}}
		for range rounds {
			left, err := l.left(ctx, p)
			if err != nil || left.Left == 0 {
				return Sum(w, l.problem(err))
			}
			if _, err := l.station.collector.Collect(ctx, l.part, l.worker, p); err != nil {
				return Sum(Sum(w, left), l.problem(err))
			}
		}
		left, err := l.left(ctx, p)
		return Sum(Sum(w, left), l.problem(err))
	})
}

// left is what a collection would do now.
func (l *lead) left(ctx context.Context, p gc.Policy) (w adminapi.BlobWork, err error) {
	backlog, err := l.part.Status(ctx)
	if err != nil {
		return w, err
	}
	packs, err := l.part.Packs(ctx)
	if err != nil {
		return w, err
	}
	plan := p.Plan(backlog.Mode, packs, time.Now())
	for _, info := range plan.Delete {
		w.Left++
		w.Bytes += info.Size
	}
	for _, group := range plan.Rewrite {
		for _, info := range group {
			w.Left++
			w.Bytes += info.LiveBytes
		}
	}
	return w, nil
}
