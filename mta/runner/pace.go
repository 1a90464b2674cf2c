package runner

import (
	"math/rand/v2"
	"sync"
	"time"
)

// schedule is that of attempts where Config has none (RFC 5321, section 4.5.4.1): soon after the first, since many hosts put
// strangers off once, then ever more rarely.
func schedule() []time.Duration {
	return []time.Duration{2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour}
}

// retryAfter is when the next attempt is made after so many. What failed together is not to come back together: the time
// is made longer by up to an eighth.
func retryAfter(steps []time.Duration, attempts uint32) time.Duration {
	d := steps[min(int(attempts), len(steps)-1)]
	return d + rand.N(d/8+1)
}

// closedFor is how long a destination is left alone that could not be reached so many times in a row before.
func closedFor(failures uint32) time.Duration {
	return min(time.Minute<<min(failures, 6), 30*time.Minute)
}

// The lanes of a node: attempts at a time, of all destinations and of one. One that is new begins with a few.
const (
	allLanes   = 200
	firstLanes = 3
	mostLanes  = 20
)

// Lanes bound how many attempts a node makes at a time. A destination gets more as it takes mail, and is back at one
// when it does not.
type Lanes struct {
	mu     sync.Mutex // guards what follows
	all    int
	single map[string]*lane
}

type lane struct{ used, most int }

// NewLanes makes the lanes of a node.
func NewLanes() *Lanes { return &Lanes{single: map[string]*lane{}} }

// free is how many attempts may begin.
func (l *Lanes) free(destination string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	free := allLanes - l.all
	if d := l.single[destination]; d != nil {
		return max(0, min(free, d.most-d.used))
	}
	return max(0, min(free, firstLanes))
}

// enter begins an attempt, if it may; release ends it.
func (l *Lanes) enter(destination string) (release func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.single[destination]
	if d == nil {
		d = &lane{most: firstLanes}
		l.single[destination] = d
	}
	if l.all >= allLanes || d.used >= d.most {
		return nil, false
	}
	l.all++
	d.used++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all--
		if d.used--; d.used == 0 && len(l.single) > 10_000 {
			delete(l.single, destination) // it begins anew
		}
	}, true
}

// settle notes whether a destination could be reached.
func (l *Lanes) settle(destination string, reached bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.single[destination]
	switch {
	case d == nil:
	case reached:
		d.most = min(d.most+1, mostLanes)
	default:
		d.most = 1
	}
}
