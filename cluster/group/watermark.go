package group

import (
	"context"
	"sync"

	"github.com/rookery-mail/rookery/cluster"
)

// watermark is an index that only rises, and wakes who waits for it.
type watermark struct {
	mu     sync.Mutex
	index  cluster.LogIndex // guarded by mu
	risen  chan struct{}    // guarded by mu: closed at the next rise; nil if nobody waits
	closed <-chan struct{}  // the group has stopped
}

func (w *watermark) value() cluster.LogIndex {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.index
}

func (w *watermark) advance(to cluster.LogIndex) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to <= w.index {
		return
	}
	w.index = to
	if w.risen != nil {
		close(w.risen)
		w.risen = nil
	}
}

// wait returns once the index is at least want.
func (w *watermark) wait(ctx context.Context, want cluster.LogIndex) error {
	for {
		w.mu.Lock()
		if w.index >= want {
			w.mu.Unlock()
			return nil
		}
		if w.risen == nil {
			w.risen = make(chan struct{})
		}
		risen := w.risen
		w.mu.Unlock()
		select {
		case <-risen:
		case <-ctx.Done():
			return ctx.Err()
		case <-w.closed:
			return cluster.ErrStopped
		}
	}
}
