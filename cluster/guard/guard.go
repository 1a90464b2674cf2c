// Package guard counts failed logins by the network that they came from, and says how long the answer to a
// failure waits and when a network is to be banned. It is one node's memory, bounded and not durable. What
// a wrong secret is, who is never banned, and what becomes of a ban (cluster/ban) are for the caller.
package guard

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// MaxWait is the longest that the answer to a failure waits.
	MaxWait = 5 * time.Second
	// firstWait is how long the first answer waits that does; each further one waits twice as long.
	firstWait = 200 * time.Millisecond
	// MaxFailures is the largest Policy.Failures.
	MaxFailures = 1000
	// maxUsers is how many users that logged in from a network make room for failures of others.
	maxUsers = 31
	// maxNetworks bounds the networks of a Tally, and maxEvents the failures and users in all of them.
	maxNetworks = 1 << 15
	maxEvents   = 1 << 17
)

// User stands for the name that a client gave: a hash of it, keyed so that nobody can choose a name that
// meets another one's.
type User uint64

// Policy is what a network may do.
type Policy struct {
	// Failures is at how many within Window a network is banned that nobody logs in from, 1 to
	// MaxFailures. It may have as many more for each user that did within Window: many who share an address
	// fail more often than one, and one guesser's own account does not open the door.
	Failures int
	Window   time.Duration
}

// Verdict is what follows from a failure.
type Verdict struct {
	Wait     time.Duration // before it is answered: none for the first quarter, then longer each time
	Failures int           // of the network within the window, this one among them
	Ban      bool          // it was one too many. The network's count begins anew
}

// Tally is the count of one node. Methods may be called from any goroutine.
//
// Networks are kept in two generations, and what is touched moves to the young one. When that is full, or
// a window old, the old one is dropped and the young one is old: what is over goes by itself, and a flood of
// networks pushes out what was touched longest ago.
type Tally struct {
	mu         sync.Mutex // guards what follows
	young, old map[netip.Prefix]*record
	events     int       // in young
	turned     time.Time // when young was empty
}

// record is what is known of one network. Invariant: it has failures.
type record struct {
	failures []event // the oldest first
	users    []event // who logged in since the first failure, once each, the oldest first
}

type event struct {
	user User
	at   time.Time
}

func (r *record) events() int { return len(r.failures) + len(r.users) }

// NewTally makes an empty count.
func NewTally() *Tally {
	return &Tally{young: map[netip.Prefix]*record{}, old: map[netip.Prefix]*record{}}
}

// Failed notes that a user's secret was wrong.
func (t *Tally) Failed(network netip.Prefix, user User, p Policy, now time.Time) Verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.turned) >= p.Window {
		t.turn(now)
	}
	r := t.take(network)
	r.failures = append(within(p.Window, r.failures, now), event{user, now})
	r.users = within(p.Window, r.users, now)
	limit := p.Failures * (1 + len(r.users))
	v := Verdict{Wait: wait(len(r.failures) - limit/4), Failures: len(r.failures), Ban: len(r.failures) >= limit}
	if !v.Ban {
		t.keep(network, r, now)
	}
	return v
}

// Succeeded notes that a user logged in: the user's own failures from there are forgiven.
func (t *Tally) Succeeded(network netip.Prefix, user User, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.young) == 0 && len(t.old) == 0 {
		return
	}
	r := t.take(network)
	of := func(e event) bool { return e.user == user }
	r.failures = slices.DeleteFunc(r.failures, of)
	if len(r.failures) == 0 {
		return
	}
	r.users = append(slices.DeleteFunc(r.users, of), event{user, now})
	if len(r.users) > maxUsers {
		r.users = slices.Delete(r.users, 0, 1)
	}
	t.keep(network, r, now)
}

// take takes a network's record out. The caller holds mu, and keeps it if it is to stay.
func (t *Tally) take(network netip.Prefix) *record {
	if r, ok := t.young[network]; ok {
		t.events -= r.events()
		delete(t.young, network)
		return r
	}
	if r, ok := t.old[network]; ok {
		delete(t.old, network)
		return r
	}
	return &record{}
}

// keep puts a record among the young ones. The caller holds mu.
func (t *Tally) keep(network netip.Prefix, r *record, now time.Time) {
	if len(t.young) >= maxNetworks/2 || t.events >= maxEvents/2 {
		t.turn(now)
	}
	t.young[network] = r
	t.events += r.events()
}

// turn begins a new generation. The caller holds mu.
func (t *Tally) turn(now time.Time) {
	t.old, t.young = t.young, make(map[netip.Prefix]*record)
	t.events, t.turned = 0, now
}

// within cuts off what is a window old.
func within(window time.Duration, events []event, now time.Time) []event {
	for len(events) > 0 && now.Sub(events[0].at) >= window {
		events = events[1:]
	}
	return events
}

// wait is how long the answer to the nth failure waits that is to wait at all; none before the first.
func wait(n int) time.Duration {
	if n < 1 {
		return 0
	}
	w := firstWait
	for ; n > 1 && w < MaxWait; n-- {
		w *= 2
	}
	return min(w, MaxWait)
}
