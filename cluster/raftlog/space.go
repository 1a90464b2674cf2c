package raftlog

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
)

// space watches the free room of the disk below the log. A write that meets a full disk stops the
// storage engine for good; so entries are refused while there is still room for the engine itself.
type space struct {
	fs      vfs.FS
	dir     string
	reserve uint64
	every   time.Duration

	mu      sync.Mutex
	checked time.Time // guarded by mu
	free    uint64    // guarded by mu
	known   bool      // guarded by mu: this file system tells
}

// check returns cluster.ErrStorageFull if less than need bytes are free. The answer is at most
// every old. A file system that does not tell is taken for endless.
func (s *space) check(need uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.checked.IsZero() || now.Sub(s.checked) >= s.every {
		usage, err := s.fs.GetDiskUsage(s.dir)
		s.checked, s.free, s.known = now, usage.AvailBytes, err == nil
	}
	if s.known && s.free < need {
		return fmt.Errorf("%d MiB free in %s: %w", s.free>>20, s.dir, cluster.ErrStorageFull)
	}
	return nil
}

// full makes an error of a full disk one that callers can tell.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", cluster.ErrStorageFull, err)
	}
	return err
}
