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
