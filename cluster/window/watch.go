package window

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// deafTime is how long a watch hears nothing before it asks another node.
const deafTime = 3 * aliveEvery

// Watch returns a channel of capacity one that gets a token when something of an account changed, and the
// function that ends it. Snapshots that are taken after a token show what it was about. While no node tells of
// changes, tokens come by themselves from time to time.
func (w *Window) Watch(a cluster.AccountID) (changed <-chan struct{}, stop func()) {
	ch, done := make(chan struct{}, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(w.all.life)
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	if w.all.closed {
		return ch, cancel
	}
	w.all.work.Go(func() {
		defer close(done)
		w.watch(ctx, a, ch)
	})
	return ch, func() {
		cancel()
		<-done
	}
}

// watch follows one node after the other until ctx ends.
func (w *Window) watch(ctx context.Context, a cluster.AccountID, changed chan<- struct{}) {
	for pause := firstPause; ; pause = min(2*pause, lastWatchPause) {
		for _, node := range w.nodes() {
			if w.follow(ctx, node, a, changed) {
				pause = firstPause
				break
			}
		}
		signal(changed)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// lastWatchPause is the longest time between two rounds of a watch through the members of a group.
const lastWatchPause = 5 * time.Second

// follow passes on what a node tells until it ends, and reports whether it told anything.
func (w *Window) follow(ctx context.Context, node cluster.NodeID, a cluster.AccountID, changed chan<- struct{}) (told bool) {
	opening, cancel := context.WithTimeout(ctx, nodeTime)
	s, err := w.all.open(opening, node)
	cancel()
	if err != nil {
		return false
	}
	defer s.close()
	defer context.AfterFunc(ctx, s.close)()
	if s.tell(opWatch, appendBegin(nil, w.group, cluster.LogIndex(a))) != nil {
		return false
	}
	for {
		if s.conn.SetReadDeadline(time.Now().Add(deafTime)) != nil {
			return told
		}
		status, body, err := s.hear()
		if err != nil {
			return told
		}
		told = true
		if status == statusAlive {
			continue
		}
		at, err := parseIndex(body)
		if err != nil {
			return told
		}
		w.raise(at)
		signal(changed)
	}
}

// signal leaves a token unless one waits already.
func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
