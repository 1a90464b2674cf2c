package runner

import (
	"context"
	"sync"
)

// Gate lets leadership of a partition move while nothing is on its way: an attempt that a host took, and that could not be
// settled any more, is made again by the next leader, and the message arrives twice. It outlives the workers of the
// partition, one after the other. The zero Gate is open.
type Gate struct {
	mu      sync.Mutex // guards what follows
	shut    int        // calls of Rest that hold it
	under   int        // attempts under way
	changed chan struct{}
}

// Rest lets no attempt begin until open is called, and waits for those under way, at most until ctx ends. It reports
// whether there is none any more.
func (g *Gate) Rest(ctx context.Context) (open func(), resting bool) {
	g.change(func() { g.shut++ })
	open = sync.OnceFunc(func() { g.change(func() { g.shut-- }) })
	for {
		g.mu.Lock()
		under, changed := g.under, g.watch()
		g.mu.Unlock()
		if under == 0 {
			return open, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return open, false
		}
	}
}

// enter begins an attempt, if the gate is open; leave ends it.
func (g *Gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut > 0 {
		return false
	}
	g.under++
	return true
}

func (g *Gate) leave() { g.change(func() { g.under-- }) }

// wait waits until the gate is open, or ctx ends.
func (g *Gate) wait(ctx context.Context) {
	for ctx.Err() == nil {
		g.mu.Lock()
		shut, changed := g.shut > 0, g.watch()
		g.mu.Unlock()
		if !shut {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// watch is a channel that is closed with the next change. The caller holds mu.
func (g *Gate) watch() <-chan struct{} {
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.changed
}

func (g *Gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}
