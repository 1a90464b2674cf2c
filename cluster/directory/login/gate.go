package login

import (
	"sync/atomic"
	"time"
)

// gate lets a few in at a time and a bounded number wait, so that a storm of logins leaves processors
// for the mail of those who are in.
type gate struct {
	inside  chan struct{}
	waiting atomic.Int64
	room    int64
	limit   time.Duration
}

func newGate(parallel, room int, limit time.Duration) *gate {
	return &gate{inside: make(chan struct{}, parallel), room: int64(room), limit: limit}
}

// enter waits for a place. It fails with ErrThrottled where too many wait already, after the limit, or
// when done is closed. Who got in leaves.
func (g *gate) enter(done <-chan struct{}) error {
	select {
	case g.inside <- struct{}{}:
		return nil
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.room {
		return ErrThrottled
	}
	timer := time.NewTimer(g.limit)
	defer timer.Stop()
	select {
	case g.inside <- struct{}{}:
		return nil
	case <-timer.C:
	case <-done:
	}
	return ErrThrottled
}

func (g *gate) leave() { <-g.inside }

func (g *gate) waiters() int { return int(g.waiting.Load()) }
