package transport_test

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster/transport"
)

// TestPipelineOutlivesItsReader sends more requests than are in flight at once without reading a
// response, as a leader does whose reader has left. Without the set-aside the third one blocks.
func TestPipelineOutlivesItsReader(t *testing.T) {
	var n network
	ca := newCA(t, "c1")
	a, b := n.start(t, ca, "a", nil), n.start(t, ca, "b", nil)
	serve(t, a)
	serve(t, b)
	open := func(tr *transport.Transport) transport.RaftTransport {
		r, err := tr.Raft(1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	from, to := open(a), open(b)
	stop := make(chan struct{})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for {
			select {
			case rpc := <-to.Consumer():
				rpc.Respond(&raft.AppendEntriesResponse{Success: false}, nil)
			case <-stop:
				return
			}
		}
	}()
	p, err := from.AppendEntriesPipeline("b", "")
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		for range 10 {
			if _, err := p.AppendEntries(&raft.AppendEntriesRequest{}, &raft.AppendEntriesResponse{}); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	select {
	case err := <-sent:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the sender waits for a reader")
	}
	for range 10 {
		if f := <-p.Consumer(); f.Error() != nil {
			t.Error(f.Error())
		}
	}
	_ = p.Close()
	close(stop)
	<-answered
}

// TestPipelineRepeatsNothing sends idle appends: those that tell the follower something reach it, the others
// do not.
func TestPipelineRepeatsNothing(t *testing.T) {
	var n network
	ca := newCA(t, "c1")
	a, b := n.start(t, ca, "a", nil), n.start(t, ca, "b", nil)
	serve(t, a)
	serve(t, b)
	open := func(tr *transport.Transport) transport.RaftTransport {
		r, err := tr.Raft(1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	from, to := open(a), open(b)
	p, err := from.AppendEntriesPipeline("b", "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	send := func(prev, commit uint64) {
		t.Helper()
		args := &raft.AppendEntriesRequest{Term: 2, PrevLogEntry: prev, PrevLogTerm: 2, LeaderCommitIndex: commit}
		if _, err := p.AppendEntries(args, &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
	}
	// arrives answers the next append that comes, which has to be this one.
	arrives := func(prev, commit uint64, success bool) {
		t.Helper()
		select {
		case rpc := <-to.Consumer():
			if got := rpc.Command.(*raft.AppendEntriesRequest); got.PrevLogEntry != prev || got.LeaderCommitIndex != commit {
				t.Errorf("prev %d, commit %d came, want %d, %d", got.PrevLogEntry, got.LeaderCommitIndex, prev, commit)
			}
			rpc.Respond(&raft.AppendEntriesResponse{Success: success}, nil)
		case <-time.After(30 * time.Second):
			t.Fatalf("prev %d, commit %d did not come", prev, commit)
		}
		<-p.Consumer()
	}
	send(9, 8)
	arrives(9, 8, true)
	send(9, 8)
	send(9, 8)
	send(9, 9)
	arrives(9, 9, true)
	send(9, 9)
	send(10, 9)
	arrives(10, 9, false)
	send(10, 9)
	arrives(10, 9, true)
}
