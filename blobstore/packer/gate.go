package packer

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore/object"
)

// The waits of a gate.
const (
	firstWait = time.Second
	mostWait  = time.Minute
)

// gate keeps all workers of a node from a store that fails: each failure doubles the wait, one success
// opens it.
type gate struct {
	now func() time.Time

	mu    sync.Mutex // guards what follows
	wait  time.Duration
	until time.Time
}

// pass waits until the store may be asked.
func (g *gate) pass(ctx context.Context) error {
	for {
		g.mu.Lock()
		left := g.until.Sub(g.now())
		g.mu.Unlock()
		if left <= 0 {
			return ctx.Err()
		}
		if err := object.Pause(ctx, left); err != nil {
			return err
		}
	}
}

// open reports whether the store may be asked now.
func (g *gate) open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.now().Before(g.until)
}

// note says how asking went. Of several that fail at once, one counts.
func (g *gate) note(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		g.wait, g.until = 0, time.Time{}
	case !g.now().Before(g.until):
		g.wait = min(max(2*g.wait, firstWait), mostWait)
		g.until = g.now().Add(g.wait/2 + rand.N(g.wait/2))
	}
}
