package main

import (
	"testing"
	"time"
)

func TestQueue(t *testing.T) {
	ada, bert := account{address: "ada", partition: "p1"}, account{address: "bert", partition: "p2"}
	q := newQueue(5, []account{ada, bert})
	order := []struct {
		partition string
		number    int
		ok        bool
	}{{"", 0, true}, {"p1", 2, true}, {"p2", 1, true}, {"p3", 0, false}, {"", 3, true}, {"", 4, true}, {"", 0, false}}
	for i, want := range order {
		j, ok := q.take(want.partition)
		if ok != want.ok || j.number != want.number {
			t.Errorf("take %d of %q: message %d, %v, want %d, %v", i, want.partition, j.number, ok, want.number, want.ok)
		}
	}
}

// TestGap counts the first accept after the kill of what was sent after the kill, and nothing else.
func TestGap(t *testing.T) {
	start := time.Now().Add(-time.Hour)
	f := &flow{demo: &demo{options: options{messages: 100}}, third: make(chan struct{}),
		killed: start, gaps: map[string]time.Duration{"p1": 0, "p2": 0}}
	f.note("p1", start.Add(-time.Second)) // sent before the kill
	f.note("p3", start.Add(time.Second))  // never led by the victim
	if got := f.worstGap(); got != 0 {
		t.Errorf("gap %v before the first accept", got)
	}
	f.note("p1", start.Add(time.Second))
	first := f.worstGap()
	if first < time.Hour {
		t.Errorf("gap %v, want the hour since the kill", first)
	}
	f.note("p1", start.Add(time.Second))
	if got := f.worstGap(); got != first || len(f.gaps) != 2 {
		t.Errorf("a later accept changed the gap from %v to %v, %v", first, got, f.gaps)
	}
}
