package raftlog

import (
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of gathering. Below fewAppends a sync has nothing to share, and who waits for it would only
// wait longer; above enoughAppends it is shared well by itself.
const (
	fewAppends    = 2
	enoughAppends = 8
	longestGather = time.Millisecond
	gatherWeight  = 4 // of the old value in the running means, against one new
)

// gather says how long the next sync is held back, so that more appends share it: where some shared the
// last ones, about as long as a sync takes, never more than longestGather. An append that comes alone is never
// held back. It holds back syncs only; what is acknowledged is synced as before.
type gather struct {
	clock   func() time.Time
	appends atomic.Int64 // begun since the last sync

	mu    sync.Mutex
	ended time.Time     // guarded by mu: of the last sync
	held  time.Duration // guarded by mu: what the next sync was told to wait
	share float64       // guarded by mu: running mean of the appends of a sync
	took  time.Duration // guarded by mu: running mean of a sync's time
}

// begin counts an append that is about to be synced.
func (g *gather) begin() { g.appends.Add(1) }

// next is called after each sync and says how long the next one waits.
func (g *gather) next() time.Duration {
	n := g.appends.Swap(0)
	now := g.clock()
	g.mu.Lock()
	defer g.mu.Unlock()
	took := now.Sub(g.ended) - g.held
	g.ended = now
	g.share += (float64(n) - g.share) / (gatherWeight + 1)
	g.took += (min(max(took, 0), longestGather) - g.took) / (gatherWeight + 1)
	g.held = 0
	if g.share >= fewAppends && g.share < enoughAppends {
		g.held = g.took
	}
	return g.held
}
