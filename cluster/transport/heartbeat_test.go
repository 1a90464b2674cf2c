package transport_test

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster/transport"
)

// TestHeartbeatsReachTheirRaft sends heartbeats to a peer of this build and to one whose build does not know
// the shared link: both get them through the handler that raft set.
func TestHeartbeatsReachTheirRaft(t *testing.T) {
	for _, c := range []struct {
		name string
		old  bool
	}{{"this build", false}, {"old build", true}} {
		t.Run(c.name, func(t *testing.T) {
			var n network
			ca := newCA(t, "c1")
			a, b := n.start(t, ca, "a", nil), n.start(t, ca, "b", nil)
			if c.old {
				b.Handle(transport.KindHeartbeat, nil)
			}
			serve(t, a)
			serve(t, b)
			from, err := a.Raft(1)
			if err != nil {
				t.Fatal(err)
			}
			to, err := b.Raft(1)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _, _ = from.Close(), to.Close() })
			to.SetHeartbeatHandler(func(rpc raft.RPC) {
				args := rpc.Command.(*raft.AppendEntriesRequest)
				rpc.Respond(&raft.AppendEntriesResponse{Term: args.Term, LastLog: 42, Success: string(args.ID) == "a"}, nil)
			})
			args := &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("a"), Addr: []byte("here")}, Term: 7}
			for range 3 {
				var resp raft.AppendEntriesResponse
				if err := from.AppendEntries("b", "", args, &resp); err != nil || resp.Term != 7 || resp.LastLog != 42 || !resp.Success {
					t.Errorf("%+v, %v", resp, err)
				}
			}
			if c.old {
				n.logs.waitFor(t, "heartbeat stream of node a: nothing serves it")
			}
		})
	}
}

// TestOtherAppendsGoThroughTheQueue sends an append that is no heartbeat: it comes through raft's queue.
func TestOtherAppendsGoThroughTheQueue(t *testing.T) {
	var n network
	ca := newCA(t, "c1")
	a, b := n.start(t, ca, "a", nil), n.start(t, ca, "b", nil)
	serve(t, a)
	serve(t, b)
	from, err := a.Raft(1)
	if err != nil {
		t.Fatal(err)
	}
	to, err := b.Raft(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = from.Close(), to.Close() })
	to.SetHeartbeatHandler(func(rpc raft.RPC) { rpc.Respond(&raft.AppendEntriesResponse{LastLog: 1}, nil) })
	sent := make(chan error, 1)
	var resp raft.AppendEntriesResponse
	go func() {
		args := &raft.AppendEntriesRequest{Term: 7, Leader: []byte("a"), PrevLogEntry: 9, PrevLogTerm: 7, LeaderCommitIndex: 9}
		sent <- from.AppendEntries("b", "", args, &resp)
	}()
	select {
	case rpc := <-to.Consumer():
		rpc.Respond(&raft.AppendEntriesResponse{LastLog: 9}, nil)
	case <-time.After(5 * time.Second):
		t.Fatal("nothing came through the queue")
	}
	if err := <-sent; err != nil || resp.LastLog != 9 {
		t.Errorf("%+v, %v", resp, err)
	}
}
