package transport_test

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster/transport"
)

// TestAppendsReachTheirRaft sends appends to a peer of this build, to one whose build does not know the shared
// link, and ones too large for it, alone and on a pipeline: all come through raft's queue.
func TestAppendsReachTheirRaft(t *testing.T) {
	for _, c := range []struct {
		name string
		old  bool
		size int
	}{{"this build", false, 100}, {"old build", true, 100}, {"large", false, 300 << 10}} {
		t.Run(c.name, func(t *testing.T) {
			var n network
			ca := newCA(t, "c1")
			a, b := n.start(t, ca, "a", nil), n.start(t, ca, "b", nil)
			if c.old {
				b.Handle(transport.KindEntries, nil)
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
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					select {
					case rpc := <-to.Consumer():
						q := rpc.Command.(*raft.AppendEntriesRequest)
						ok := string(q.ID) == "a" && len(q.Entries) == 1 && len(q.Entries[0].Data) == c.size
						rpc.Respond(&raft.AppendEntriesResponse{Term: q.Term, LastLog: q.PrevLogEntry + 1, Success: ok}, nil)
					case <-stop:
						return
					}
				}
			}()
			t.Cleanup(func() { close(stop); <-stopped })
			args := func(prev uint64) *raft.AppendEntriesRequest {
				return &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("a"), Addr: []byte("here")},
					Term: 7, PrevLogEntry: prev, PrevLogTerm: 7, Entries: []*raft.Log{{Index: prev + 1, Term: 7, Data: make([]byte, c.size)}}}
			}
			var resp raft.AppendEntriesResponse
			if err := from.AppendEntries("b", "", args(1), &resp); err != nil || resp.LastLog != 2 || !resp.Success {
				t.Errorf("%+v, %v", resp, err)
			}
			p, err := from.AppendEntriesPipeline("b", "")
			if err != nil {
				t.Fatal(err)
			}
			for i := range uint64(5) {
				if _, err := p.AppendEntries(args(i), &raft.AppendEntriesResponse{}); err != nil {
					t.Fatal(err)
				}
			}
			for i := range uint64(5) {
				select {
				case f := <-p.Consumer():
					if f.Error() != nil || !f.Response().Success || f.Response().LastLog != i+1 {
						t.Errorf("%+v, %v", f.Response(), f.Error())
					}
				case <-time.After(30 * time.Second):
					t.Fatal("no answer")
				}
			}
			_ = p.Close()
			if c.old {
				n.logs.waitFor(t, "entries stream of node a: nothing serves it")
			}
		})
	}
}
