package bodies

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster/directory"
)

// openAgain is how long a store that could not be opened is left alone.
const openAgain = 10 * time.Second

// Run follows the cluster's setting until ctx ends. Then it closes the store and waits for all that uses
// it, Lead among them.
func (s *Service) Run(ctx context.Context) {
	changed, stop := s.c.Watch()
	defer stop()
	defer s.replace(ctx, nil)
	tick := time.NewTicker(openAgain)
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
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
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
