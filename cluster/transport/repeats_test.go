package transport

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestRepeats: only what the follower has confirmed in the same term, to the same entry and with no lower a
// commit index counts as known, and not for ever.
func TestRepeats(t *testing.T) {
	start := time.Unix(1000, 0)
	idle := func(term, prev, commit uint64) *raft.AppendEntriesRequest {
		return &raft.AppendEntriesRequest{Term: term, PrevLogEntry: prev, PrevLogTerm: 1, LeaderCommitIndex: commit}
	}
	var r repeats
	if r.known(idle(0, 0, 0), start) {
		t.Error("known before anything was confirmed")
	}
	with := idle(2, 7, 8)
	with.Entries = []*raft.Log{{Index: 8}, {Index: 9}}
	r.confirmed(with, start)
	for _, c := range []struct {
		name  string
		args  *raft.AppendEntriesRequest
		after time.Duration
		want  bool
	}{
		{"the same", idle(2, 9, 8), time.Second, true},
		{"a lower commit index", idle(2, 9, 7), time.Second, true},
		{"a higher commit index", idle(2, 9, 9), time.Second, false},
		{"another last entry", idle(2, 10, 8), time.Second, false},
		{"an earlier last entry", idle(2, 8, 8), time.Second, false},
		{"another term", idle(3, 9, 8), time.Second, false},
		{"entries", with, time.Second, false},
		{"just in time", idle(2, 9, 8), repeatEvery - 1, true},
		{"too long ago", idle(2, 9, 8), repeatEvery, false},
	} {
		if got := r.known(c.args, start.Add(c.after)); got != c.want {
			t.Errorf("%s: known %v", c.name, got)
		}
	}
	r.confirmed(idle(2, 9, 9), start)
	if !r.known(idle(2, 9, 9), start) {
		t.Error("an idle append that was confirmed is not known")
	}
}
