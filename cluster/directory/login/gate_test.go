package login

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 1, time.Minute)
		if err := g.enter(nil); err != nil {
			t.Fatal(err)
		}
		entered := make(chan error)
		go func() { entered <- g.enter(nil) }()
		synctest.Wait()
		if g.waiters() != 1 {
			t.Fatalf("%d wait, want 1", g.waiters())
		}
		if err := g.enter(nil); !errors.Is(err, ErrThrottled) {
			t.Errorf("no room to wait: %v", err)
		}
		g.leave()
		if err := <-entered; err != nil {
			t.Errorf("the one who waited: %v", err)
		}

		start := time.Now()
		if err := g.enter(nil); !errors.Is(err, ErrThrottled) || time.Since(start) != time.Minute {
			t.Errorf("waited %v: %v", time.Since(start), err)
		}
		done := make(chan struct{})
		go func() { entered <- g.enter(done) }()
		synctest.Wait()
		close(done)
		if err := <-entered; !errors.Is(err, ErrThrottled) {
			t.Errorf("the client that is gone: %v", err)
		}
		g.leave()
		if g.waiters() != 0 || g.enter(nil) != nil {
			t.Error("the gate is not open again")
		}
	})
}

func TestBounded(t *testing.T) {
	b := newBounded[int, string](2)
	b.put(1, "a")
	b.put(2, "b")
	b.get(1)
	b.put(3, "c")
	if _, ok := b.get(2); ok {
		t.Error("the one touched longest ago is still there")
	}
	b.put(1, "A")
	if v, _ := b.get(1); v != "A" || len(b.items) != 2 || b.order.Len() != 2 {
		t.Errorf("1 is %q among %d", v, len(b.items))
	}
	b.remove(1)
	b.remove(1)
	if _, ok := b.get(1); ok || b.order.Len() != 1 {
		t.Error("a removed one is still there")
	}
}

func TestThrottleTime(t *testing.T) {
	th := newThrottle(2, time.Second)
	now := time.Unix(1000, 0)
	if !th.take("k", now) || !th.take("k", now) || th.take("k", now) {
		t.Error("a burst of 2 is not 2")
	}
	if th.take("k", now.Add(-time.Hour)) || th.take("k", now.Add(999*time.Millisecond)) {
		t.Error("a token before its time")
	}
	if !th.take("k", now.Add(time.Second)) {
		t.Error("no token after the refill")
	}
	th.giveBack("k", now.Add(time.Hour))
	if len(th.buckets.items) != 0 {
		t.Error("a full bucket is kept")
	}
}
