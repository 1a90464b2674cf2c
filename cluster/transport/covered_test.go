package transport_test

import (
	"testing"

	"github.com/hashicorp/raft"
)

// TestCommitIsCovered: a follower is never told of a commit beyond the entries that the same append
// proves it to have, or an old leader's own entry at that place would count as committed.
func TestCommitIsCovered(t *testing.T) {
	var n network
	ca := newCA(t, "c1")
	a, b := n.start(t, ca, "a", nil), n.start(t, ca, "b", nil)
	serve(t, a)
	serve(t, b)
	from, err := a.Raft(1)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := b.Raft(1)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	heard := make(chan uint64, 1)
	stop := make(chan struct{})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for {
			select {
			case rpc := <-to.Consumer():
				heard <- rpc.Command.(*raft.AppendEntriesRequest).LeaderCommitIndex
				rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-answered }()
	p, err := from.AppendEntriesPipeline("b", "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, c := range []struct {
		prev, entries, commit, want uint64
	}{
		{prev: 8, commit: 13, want: 8}, // what an idle append sent late looks like
		{prev: 9, commit: 9, want: 9},
		{prev: 8, entries: 2, commit: 13, want: 10},
		{prev: 8, entries: 5, commit: 9, want: 9},
	} {
		request := func() *raft.AppendEntriesRequest {
			q := &raft.AppendEntriesRequest{Term: 2, PrevLogEntry: c.prev, PrevLogTerm: 1, LeaderCommitIndex: c.commit}
			for i := range c.entries {
				q.Entries = append(q.Entries, &raft.Log{Index: c.prev + 1 + i, Term: 2})
			}
			return q
		}
		if err := from.AppendEntries("b", "", request(), &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got != c.want {
			t.Errorf("%+v: an append told of commit %d", c, got)
		}
		if _, err := p.AppendEntries(request(), &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
		<-p.Consumer()
		if got := <-heard; got != c.want {
			t.Errorf("%+v: a pipeline told of commit %d", c, got)
		}
	}
}
