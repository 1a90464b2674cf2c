package shaping_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/receiver"
	"github.com/rookery-mail/rookery/mta/shaping"
)

// world is Sites with a clock that is turned by hand.
type world struct {
	*shaping.Sites
	t   *testing.T
	now time.Time
}

func newWorld(t *testing.T, limits receiver.Table) *world {
	w := &world{t: t, now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
	w.Sites = shaping.New(shaping.Config{Clock: func() time.Time { return w.now }, Limits: limits.Of})
	return w
}

func (w *world) enter(domain string) *shaping.Lane {
	w.t.Helper()
	l, ok := w.Enter(domain)
	if !ok {
		w.t.Fatalf("no room for %s: %+v", domain, w.States())
	}
	return l
}

func (w *world) free(domain string, want int) {
	w.t.Helper()
	if got, again := w.Free(domain); got != want {
		w.t.Errorf("%d free for %s and not %d, again at %v", got, domain, want, again)
	}
}

var (
	taken  = shaping.Outcome{Delivered: 1, Asked: true, Reached: true}
	dead   = shaping.Outcome{Deferred: 1, Asked: true, Text: "connection refused"}
	slower = shaping.Outcome{Deferred: 1, Asked: true, Reached: true, Means: receiver.Slower, Text: "421 too many connections"}
)

// TestOpens: a site begins with three, gets one more for each round that it took, and no more than its limit.
func TestOpens(t *testing.T) {
	w := newWorld(t, receiver.Table{"example.com": {Connections: 5, Messages: 1}})
	w.free("example.com", 3)
	for range 4 {
		w.enter("example.com").Leave(taken)
	}
	w.free("example.com", 4)
	for range 100 {
		w.enter("example.com").Leave(taken)
	}
	w.free("example.com", 5)
	w.enter("example.com")
	w.free("example.com", 4)
}

// TestCloses: a complaint halves, and is heard once for all that was on its way; the pause grows with the next.
func TestCloses(t *testing.T) {
	w := newWorld(t, nil)
	for range 60 {
		w.enter("example.com").Leave(taken)
	}
	was, _ := w.Free("example.com")
	var lanes []*shaping.Lane
	for range 4 {
		lanes = append(lanes, w.enter("example.com"))
	}
	for _, l := range lanes {
		l.Leave(slower)
	}
	s := w.States()[0]
	if s.Most != was/2 || s.Rate != 30 || s.Failures != 1 || s.ClosedUntil.Sub(w.now) != 10*time.Second || s.Last != slower.Text {
		t.Errorf("after a complaint, %d were free: %+v", was, s)
	}
	if n, again := w.Free("example.com"); n != 0 || !again.Equal(s.ClosedUntil) {
		t.Errorf("%d free, again at %v", n, again)
	}
	if _, ok := w.Enter("example.com"); ok {
		t.Error("a closed site is entered")
	}
	w.now = s.ClosedUntil
	w.enter("example.com").Leave(slower)
	if s := w.States()[0]; s.ClosedUntil.Sub(w.now) != 20*time.Second || s.Rate != 15 {
		t.Errorf("after another: %+v", s)
	}
}

// TestDead: a site that is not there is asked by one at a time, ever more rarely, and is back when it answers.
func TestDead(t *testing.T) {
	w := newWorld(t, nil)
	var waits []time.Duration
	for range 9 {
		w.enter("example.com").Leave(dead)
		_, again := w.Free("example.com")
		waits = append(waits, again.Sub(w.now))
		w.now = again
	}
	if got := fmt.Sprint(waits); got != "[10s 20s 40s 1m20s 2m40s 5m20s 10m0s 10m0s 10m0s]" {
		t.Error(got)
	}
	w.free("example.com", 1)
	w.enter("example.com").Leave(taken)
	w.free("example.com", 2)
	w.free("example.net", 3)
}

// TestOneAway: a host that is away does not close a site whose others answer.
func TestOneAway(t *testing.T) {
	w := newWorld(t, nil)
	for range 10 {
		w.enter("example.com").Leave(taken)
		was, _ := w.Free("example.com")
		w.enter("example.com").Leave(dead)
		w.free("example.com", was)
		w.now = w.now.Add(20 * time.Second)
	}
	if s := w.States()[0]; s.Failures != 0 || s.Last != dead.Text {
		t.Errorf("%+v", s)
	}
	w.now = w.now.Add(10 * time.Second)
	w.enter("example.com").Leave(dead)
	w.free("example.com", 0)
}

// TestMove: an attempt counts where it goes, and so do those for its domain that follow.
func TestMove(t *testing.T) {
	w := newWorld(t, nil)
	var lanes []*shaping.Lane
	for i := range 4 {
		l := w.enter(fmt.Sprintf("d%d.example", i))
		again, ok := l.Move("google.com")
		if ok != (i < 3) || !ok && !again.After(w.now) {
			t.Errorf("the %d. has room %v, again %v", i, ok, again)
		}
		lanes = append(lanes, l)
	}
	w.free("d0.example", 0)
	w.free("other.example", 3)
	for _, l := range lanes {
		l.Leave(shaping.Outcome{Unmade: true})
	}
	w.free("d0.example", 3)
	if got := w.SiteOf("d0.example"); got != "google.com" {
		t.Error(got)
	}
}

// TestRate: no more messages a minute than the limit, whatever the lanes.
func TestRate(t *testing.T) {
	w := newWorld(t, receiver.Table{"example.com": {Connections: 100, Messages: 1, Rate: 60}})
	sent := 0
	for end := w.now.Add(2 * time.Minute); w.now.Before(end); {
		n, again := w.Free("example.com")
		for range n {
			w.enter("example.com").Leave(taken)
			sent++
		}
		if n == 0 {
			if !again.After(w.now) {
				t.Fatal("nothing is free, and it is not said when")
			}
			w.now = again
		}
	}
	if sent < 118 || sent > 122 {
		t.Errorf("%d messages in two minutes", sent)
	}
}

// TestAll: the node has a bound of its own.
func TestAll(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 200 {
		w.enter(fmt.Sprintf("d%d.example", i))
	}
	w.free("new.example", 0)
	if _, ok := w.Enter("new.example"); ok {
		t.Error("one more than may be")
	}
}
