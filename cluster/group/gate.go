package group

import (
	"sync"
	"time"
)

// gate counts calls that wait for Raft, and lets no new ones in once it drains.
type gate struct {
	mu     sync.Mutex
	inside int           // guarded by mu
	shut   bool          // guarded by mu
	empty  chan struct{} // guarded by mu: closed when shut and nobody is inside; made by drain
}

// enter reports whether the call may go on; if so it ends with leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.shut && g.inside == 0 {
		close(g.empty)
	}
}

// drain shuts the gate and reports whether everyone left in time.
func (g *gate) drain(timeout time.Duration) bool {
	g.mu.Lock()
	g.shut = true
	g.empty = make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-g.empty:
		return true
	case <-timer.C:
		return false
	}
}
