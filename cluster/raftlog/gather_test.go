package raftlog

import (
	"testing"
	"time"
)

// cycles runs n syncs, each of so many appends and so long without the wait before it, and returns
// how long the next is held back.
func cycles(g *gather, now *time.Time, n, appends int, sync time.Duration) time.Duration {
	var held time.Duration
	for range n {
		for range appends {
			g.begin()
		}
		*now = now.Add(held + sync)
		held = g.next()
	}
	return held
}

func TestGather(t *testing.T) {
	for _, c := range []struct {
		name    string
		appends int
		sync    time.Duration
		want    time.Duration
	}{
		{"one connection", 1, 300 * time.Microsecond, 0},
		{"a shared sync", 4, 300 * time.Microsecond, 300 * time.Microsecond},
		{"a slow disk", 4, 20 * time.Millisecond, longestGather},
		{"a well shared sync", 12, 300 * time.Microsecond, 0},
	} {
		now := time.Unix(1, 0)
		g := &gather{clock: func() time.Time { return now }, ended: now}
		if got := cycles(g, &now, 64, c.appends, c.sync).Round(time.Microsecond); got != c.want {
			t.Errorf("%s: held back %v, want %v", c.name, got, c.want)
		}
	}
}

// TestGatherForgets: after a burst an append that comes alone is soon not held back any more.
func TestGatherForgets(t *testing.T) {
	now := time.Unix(1, 0)
	g := &gather{clock: func() time.Time { return now }, ended: now}
	if cycles(g, &now, 64, 6, 300*time.Microsecond) == 0 {
		t.Fatal("shared syncs were not held back")
	}
	if held := cycles(g, &now, 8, 1, 300*time.Microsecond); held != 0 {
		t.Errorf("held back %v after eight lone appends", held)
	}
}
