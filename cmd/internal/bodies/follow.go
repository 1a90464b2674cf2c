package bodies

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster/directory"
)

// The default of Config.Again, and how often a store is asked whether it is there when nothing else is asked of it.
const (
	defaultAgain = 10 * time.Second
	askEvery     = 5 * time.Minute
)

// Run follows the cluster's setting until ctx ends. Then it closes the store and waits for all that uses
// it, Lead among them.
func (s *Service) Run(ctx context.Context) {
	changed, stop := s.c.Watch()
	defer stop()
	defer s.replace(ctx, nil)
	tick := time.NewTicker(s.c.Again)
	defer tick.Stop()
	in := "" // the setting that is in effect
	for {
		text, err := s.text()
		next, set, wrong := setting.Parse(text)
		switch {
		case err != nil: // the directory is not here yet
		case wrong != nil && text != in:
			in = text
			s.c.Logger.Error("the setting of object storage is not understood, what is in effect stays", "error", wrong)
		case wrong != nil:
		case !set && in != "":
			in = ""
			s.replace(ctx, nil)
		case set && (text != in || s.broken()):
			in = text
			s.replace(ctx, &next)
		}
		s.probe(ctx)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// probePatience is how long a store may take to say that it is there.
const probePatience = 3 * time.Second

// probe asks the store whether it is there where it failed the last time, so that it is known when it is
// back though nobody asks, and from time to time, so that it is known when it is not.
func (s *Service) probe(ctx context.Context) {
	st := s.borrow()
	if st == nil {
		return
	}
	defer st.users.Done()
	asked, err := st.health.last()
	if st.failed != nil || err == nil && time.Since(asked) < askEvery || time.Since(asked) < s.c.Again/2 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	_, _ = st.health.Stat(ctx, "rookery.json") // the outcome is kept in health
}

// text reads the setting.
func (s *Service) text() (text string, err error) {
	err = s.c.View(func(v directory.View) (err error) {
		text, err = v.BlobStore()
		return err
	})
	return text, err
}

// broken says that the store could not be opened.
func (s *Service) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.station != nil && s.station.failed != nil
}
