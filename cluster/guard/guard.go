// Package guard counts failed logins by the network that they came from, and says how long the answer to a
// failure waits and when a network is to be banned. What one node counts it tells the others as news, and takes
// theirs in, so that a network that goes round the nodes is counted as if it had asked one. The count is in memory,
// bounded and not durable. How news travel, what a wrong secret is, who is never banned, and what becomes of a ban
// (cluster/ban) are for the caller.
package guard

import (
	"cmp"
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
// meets another one's. Nodes that tell each other news use the same key.
type User uint64

// Policy is what a network may do.
type Policy struct {
	// Failures is at how many within Window a network is banned that nobody logs in from, 1 to
	// MaxFailures. It may have as many more for each user that did since the first of them: many who share an
	// address fail more often than one, and one guesser's own account does not open the door.
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
	news       []item    // what the other nodes are to be told, the oldest first
}

// record is what is known of one network. Invariant: no failure is as old as the network's last ban, or as a login of
// its user; so what arrives late, or again, changes nothing.
type record struct {
	failures []event   // the oldest first, each once
	users    []event   // who logged in after failures, once each, the oldest first
	banned   time.Time // zero: not yet
}

// event is what happened at a time, which is in whole microseconds.
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
	t.age(p, now)
	r := t.take(network)
	at := r.next(user, now.Truncate(time.Microsecond))
	r.fail(event{user, at})
	v := r.judge(p, now)
	if v.Ban {
		r.ban(at)
		t.tell(item{banned, network, event{at: at}})
	} else {
		t.tell(item{failed, network, event{user, at}})
	}
	t.keep(network, r, now)
	return v
}

// Count is how many failures of a network count now.
func (t *Tally) Count(network netip.Prefix, p Policy, now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.take(network)
	n := r.judge(p, now).Failures
	t.keep(network, r, now)
	return n
}

// Succeeded notes that a user logged in: the user's own failures from there are forgiven.
func (t *Tally) Succeeded(network netip.Prefix, user User, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.young) == 0 && len(t.old) == 0 {
		return
	}
	r := t.take(network)
	if len(r.failures) > 0 {
		e := event{user, now.Truncate(time.Microsecond)}
		for _, f := range r.failures {
			if f.user == user && f.at.After(e.at) {
				e.at = f.at // of a clock that is ahead
			}
		}
		r.succeed(e)
		t.tell(item{succeeded, network, e})
	}
	t.keep(network, r, now)
}

// age begins a new generation when the young one is a window old. The caller holds mu.
func (t *Tally) age(p Policy, now time.Time) {
	if now.Sub(t.turned) >= p.Window {
		t.turn(now)
	}
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

// keep puts a record among the young ones, unless nothing is in it. The caller holds mu.
func (t *Tally) keep(network netip.Prefix, r *record, now time.Time) {
	if r.events() == 0 && r.banned.IsZero() {
		return
	}
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

// next is the first time from now on at which a failure of the user counts and is not one there is.
func (r *record) next(user User, now time.Time) time.Time {
	at := now
	if !at.After(r.banned) {
		at = r.banned.Add(time.Microsecond)
	}
	for _, u := range r.users {
		if u.user == user && !at.After(u.at) {
			at = u.at.Add(time.Microsecond)
		}
	}
	for {
		if _, taken := slices.BinarySearchFunc(r.failures, event{user, at}, byTime); !taken {
			return at
		}
		at = at.Add(time.Microsecond)
	}
}

// fail adds a failure unless it is there, or does not count any more.
func (r *record) fail(e event) {
	if !e.at.After(r.banned) {
		return
	}
	for _, u := range r.users {
		if u.user == e.user && !u.at.Before(e.at) {
			return
		}
	}
	if at, found := slices.BinarySearchFunc(r.failures, e, byTime); !found {
		r.failures = slices.Insert(r.failures, at, e)
	}
}

// succeed adds a login, which forgives the failures of its user before.
func (r *record) succeed(e event) {
	if !e.at.After(r.banned) {
		return
	}
	at := slices.IndexFunc(r.users, func(u event) bool { return u.user == e.user })
	if at >= 0 && !r.users[at].at.Before(e.at) {
		return
	}
	if at >= 0 {
		r.users = slices.Delete(r.users, at, at+1)
	}
	r.failures = slices.DeleteFunc(r.failures, func(f event) bool { return f.user == e.user && !f.at.After(e.at) })
	at, _ = slices.BinarySearchFunc(r.users, e, byTime)
	if r.users = slices.Insert(r.users, at, e); len(r.users) > maxUsers {
		r.users = slices.Delete(r.users, 0, 1)
	}
}

// ban has the count begin anew after a time.
func (r *record) ban(at time.Time) {
	if !at.After(r.banned) {
		return
	}
	r.banned = at
	before := func(e event) bool { return !e.at.After(at) }
	r.failures, r.users = slices.DeleteFunc(r.failures, before), slices.DeleteFunc(r.users, before)
}

// judge says what follows from the failures that there are, after those are dropped that are a window old.
func (r *record) judge(p Policy, now time.Time) Verdict {
	r.failures, r.users = within(p.Window, r.failures, now), within(p.Window, r.users, now)
	limit := p.Failures
	for _, u := range r.users {
		if len(r.failures) > 0 && !u.at.Before(r.failures[0].at) {
			limit += p.Failures
		}
	}
	n := len(r.failures)
	return Verdict{Wait: wait(n - limit/4), Failures: n, Ban: n >= limit}
}

func byTime(a, b event) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.user, b.user)) }

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
