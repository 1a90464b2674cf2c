package entries

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a node that sends and a peer that it dials. What serves a dialled connection may be replaced.
type pair struct {
	from, to *Exchange
	dials    atomic.Int32
	writes   atomic.Int32 // by from
	serving  sync.WaitGroup

	mu   sync.Mutex
	last net.Conn // the peer's end of the newest connection
}

type counted struct {
	net.Conn
	writes *atomic.Int32
}

func (c counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// connect makes a pair. serve takes the peer's end of each connection; nil is Serve.
func connect(t *testing.T, serve func(conn net.Conn)) *pair {
	t.Helper()
	p := &pair{}
	quiet := slog.New(slog.DiscardHandler)
	p.to = New(context.Background(), Config{Logger: quiet})
	p.from = New(context.Background(), Config{Logger: quiet, Dial: func(context.Context, cluster.NodeID) (net.Conn, error) {
		here, there := net.Pipe()
		p.dials.Add(1)
		p.mu.Lock()
		p.last = there
		p.mu.Unlock()
		p.serving.Go(func() {
			defer there.Close()
			if serve != nil {
				serve(there)
				return
			}
			p.to.Serve(context.Background(), "a", there)
		})
		return counted{here, &p.writes}, nil
	}})
	t.Cleanup(func() {
		p.from.Close()
		p.serving.Wait()
		p.to.Close()
	})
	return p
}

// open opens a group's port until the test ends.
func open(t *testing.T, x *Exchange, g cluster.GroupID) *Port {
	t.Helper()
	port := x.Open(g, nil)
	t.Cleanup(port.Close)
	return port
}

// follow lets a group at the peer answer as answer does, until the test ends.
func (p *pair) follow(t *testing.T, g cluster.GroupID, answer func(*raft.AppendEntriesRequest) (*raft.AppendEntriesResponse, error)) {
	t.Helper()
	port := open(t, p.to, g)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case rpc := <-port.Consumer():
				rpc.Respond(answer(rpc.Command.(*raft.AppendEntriesRequest)))
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

// follower is a log that takes an append where its previous entry is the last one.
func follower() func(*raft.AppendEntriesRequest) (*raft.AppendEntriesResponse, error) {
	var last uint64
	return func(q *raft.AppendEntriesRequest) (*raft.AppendEntriesResponse, error) {
		if q.PrevLogEntry != last {
			return &raft.AppendEntriesResponse{Term: q.Term, LastLog: last}, nil
		}
		last += uint64(len(q.Entries))
		return &raft.AppendEntriesResponse{Term: q.Term, LastLog: last, Success: true}, nil
	}
}

// entry is an append of one entry after prev.
func entry(prev uint64) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{Term: 2, Leader: []byte("a@host"), PrevLogEntry: prev, PrevLogTerm: 2, LeaderCommitIndex: prev,
		Entries: []*raft.Log{{Index: prev + 1, Term: 2, Data: []byte("data")}}}
}

func none(*raft.AppendEntriesRequest) {}

func pipelineTo(t *testing.T, port *Port, hooks Hooks) *Pipeline {
	t.Helper()
	if hooks.Confirmed == nil {
		hooks.Confirmed = none
	}
	line, err := port.Pipeline("b", hooks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = line.Close() })
	return line
}

// TestGroupsShareALink sends on the pipelines of many groups at once: each group's appends come in their order, over
// one link, and several in a write.
func TestGroupsShareALink(t *testing.T) {
	p := connect(t, nil)
	const groups, rounds = 50, 40
	var sending sync.WaitGroup
	for g := range cluster.GroupID(groups) {
		p.follow(t, g, follower())
		var confirmed atomic.Int32
		line := pipelineTo(t, open(t, p.from, g), Hooks{Confirmed: func(*raft.AppendEntriesRequest) { confirmed.Add(1) }})
		sending.Go(func() {
			for i := range uint64(rounds) {
				if _, err := line.AppendEntries(entry(i), &raft.AppendEntriesResponse{}); err != nil {
					t.Errorf("%v: %v", g, err)
					return
				}
			}
		})
		sending.Go(func() {
			for i := range uint64(rounds) {
				f := <-line.Consumer()
				if r := f.Response(); f.Error() != nil || !r.Success || r.LastLog != i+1 || f.Request().PrevLogEntry != i {
					t.Errorf("%v: %+v after %d, %v", g, r, f.Request().PrevLogEntry, f.Error())
				}
			}
			if n := confirmed.Load(); n != rounds {
				t.Errorf("%v: %d confirmed", g, n)
			}
		})
	}
	sending.Wait()
	if n := p.dials.Load(); n != 1 {
		t.Errorf("%d links", n)
	}
	if n := p.writes.Load(); n >= groups*rounds {
		t.Errorf("%d writes for %d appends", n, groups*rounds)
	}
}

// TestInFlight: the sender of a pipeline goes on once fewer than two of its appends have no answer.
func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, nil)
		let := make(chan struct{})
		take := follower()
		p.follow(t, 1, func(q *raft.AppendEntriesRequest) (*raft.AppendEntriesResponse, error) {
			<-let
			return take(q)
		})
		line := pipelineTo(t, open(t, p.from, 1), Hooks{})
		var sent atomic.Int32
		go func() {
			for i := range uint64(4) {
				if _, err := line.AppendEntries(entry(i), &raft.AppendEntriesResponse{}); err != nil {
					t.Error(err)
				}
				sent.Add(1)
			}
		}()
		for i := range int32(4) {
			synctest.Wait()
			if n := sent.Load(); n != i+1 {
				t.Errorf("%d sent after %d answers", n, i)
			}
			let <- struct{}{}
		}
		synctest.Wait()
	})
}

// TestBrokenLinkFailsAll: with the connection, everything in flight fails, and what comes then has another link.
func TestBrokenLinkFailsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, nil)
		var lines []*Pipeline
		for g := range cluster.GroupID(3) {
			open(t, p.to, g) // where nobody answers
			line := pipelineTo(t, open(t, p.from, g), Hooks{})
			lines = append(lines, line)
			go func() { // the second waits
				_, _ = line.AppendEntries(entry(0), &raft.AppendEntriesResponse{})
				_, _ = line.AppendEntries(entry(1), &raft.AppendEntriesResponse{})
			}()
		}
		synctest.Wait()
		p.mu.Lock()
		_ = p.last.Close()
		p.mu.Unlock()
		for _, line := range lines {
			for range 2 {
				if f := <-line.Consumer(); f.Error() == nil || f.Response().Success {
					t.Errorf("%+v, %v", f.Response(), f.Error())
				}
			}
			if _, err := line.AppendEntries(entry(2), &raft.AppendEntriesResponse{}); err == nil {
				if f := <-line.Consumer(); f.Error() == nil {
					t.Error("a pipeline goes on without its link")
				}
			}
		}
		p.follow(t, 7, follower())
		var resp raft.AppendEntriesResponse
		if err := open(t, p.from, 7).Send("b", entry(0), &resp); err != nil || !resp.Success {
			t.Errorf("%+v, %v", resp, err)
		}
		if n := p.dials.Load(); n != 2 {
			t.Errorf("%d links", n)
		}
	})
}

// TestSlowGroup: a group whose Raft does not answer is late by itself; the link and the others go on.
func TestSlowGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, nil)
		open(t, p.to, 1)
		p.follow(t, 2, follower())
		late := make(chan error)
		slow, quick := open(t, p.from, 1), open(t, p.from, 2)
		go func() { late <- slow.Send("b", entry(0), &raft.AppendEntriesResponse{}) }()
		line := pipelineTo(t, slow, Hooks{})
		go func() {
			_, err := line.AppendEntries(entry(0), &raft.AppendEntriesResponse{})
			if err == nil {
				_, err = line.AppendEntries(entry(1), &raft.AppendEntriesResponse{})
			}
			late <- err
		}()
		time.Sleep(time.Second) // of the bubble's clock
		var resp raft.AppendEntriesResponse
		if err := quick.Send("b", entry(0), &resp); err != nil || resp.LastLog != 1 {
			t.Errorf("%+v, %v", resp, err)
		}
		for range 2 {
			if err := <-late; !errors.Is(err, ErrLate) {
				t.Errorf("%v, want ErrLate", err)
			}
		}
		if err := quick.Send("b", entry(1), &resp); err != nil || resp.LastLog != 2 {
			t.Errorf("%+v, %v", resp, err)
		}
		if n := p.dials.Load(); n != 1 {
			t.Errorf("%d links", n)
		}
	})
}

// TestSilentPeer: a peer that answers nobody loses its link.
func TestSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, func(conn net.Conn) {
			_, _ = conn.Write([]byte{Version})
			_, _ = io.Copy(io.Discard, conn)
		})
		port := open(t, p.from, 1)
		for want := range int32(2) {
			if err := port.Send("b", entry(0), &raft.AppendEntriesResponse{}); !errors.Is(err, ErrLate) {
				t.Errorf("%v, want ErrLate", err)
			}
			if n := p.dials.Load(); n != want+1 {
				t.Errorf("%d links", n)
			}
			if p.from.Linked("b") {
				t.Error("the link is still there")
			}
		}
	})
}

// TestOldPeer: a peer that closes the stream unanswered is not asked again for a minute.
func TestOldPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, func(net.Conn) {})
		port := open(t, p.from, 1)
		for range 3 {
			if err := port.Send("b", entry(0), &raft.AppendEntriesResponse{}); !errors.Is(err, ErrOldPeer) {
				t.Errorf("send: %v", err)
			}
			if _, err := port.Pipeline("b", Hooks{Confirmed: none}); !errors.Is(err, ErrOldPeer) {
				t.Errorf("pipeline: %v", err)
			}
		}
		if n := p.dials.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(61 * time.Second) // of the bubble's clock
		_ = port.Send("b", entry(0), &raft.AppendEntriesResponse{})
		if n := p.dials.Load(); n != 2 {
			t.Errorf("asked %d times after a minute", n)
		}
	})
}

// TestRefusals: a group that is not there, one whose Raft fails, one that leaves while it is asked.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, nil)
		p.follow(t, 2, func(*raft.AppendEntriesRequest) (*raft.AppendEntriesResponse, error) {
			return nil, errors.New("disk full")
		})
		leaving := p.to.Open(3, nil)
		send := func(g cluster.GroupID) error {
			return open(t, p.from, g).Send("b", entry(0), &raft.AppendEntriesResponse{})
		}
		if err := send(1); !errors.Is(err, ErrNotHere) {
			t.Errorf("not here: %v", err)
		}
		if err := send(2); err == nil || err.Error() != "node b, p2: disk full" {
			t.Errorf("failing: %v", err)
		}
		got := make(chan error)
		go func() { got <- send(3) }()
		synctest.Wait()
		leaving.Close()
		if err := <-got; !errors.Is(err, ErrNotHere) {
			t.Errorf("leaving: %v", err)
		}
		// The one that sends leaves.
		open(t, p.to, 4)
		port := p.from.Open(4, nil)
		go func() { got <- port.Send("b", entry(0), &raft.AppendEntriesResponse{}) }()
		synctest.Wait()
		port.Close()
		if err := <-got; !errors.Is(err, cluster.ErrStopped) {
			t.Errorf("closed: %v", err)
		}
	})
}

// TestBulk: a large append goes past the link, after the answers of those before it.
func TestBulk(t *testing.T) {
	p := connect(t, nil)
	take := follower()
	p.follow(t, 1, take)
	line := pipelineTo(t, open(t, p.from, 1), Hooks{Bulk: func(q *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
		r, err := take(q)
		*resp = *r
		return err
	}})
	for i := range uint64(9) {
		q := entry(i)
		if i%2 == 1 {
			q.Entries[0].Data = make([]byte, Bulk)
		}
		if _, err := line.AppendEntries(q, &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(9) {
		if f := <-line.Consumer(); f.Error() != nil || f.Response().LastLog != i+1 {
			t.Errorf("%d: %+v, %v", i, f.Response(), f.Error())
		}
	}
}

// TestTooManyWait: a group that takes nothing has a bound on what waits for it.
func TestTooManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, nil)
		open(t, p.to, 1)
		port := open(t, p.from, 1)
		var refused atomic.Int32
		var sending sync.WaitGroup
		const more = 3
		for i := range maxWaiting + 1 + more {
			sending.Go(func() {
				if err := port.Send("b", entry(0), &raft.AppendEntriesResponse{}); !errors.Is(err, ErrLate) {
					refused.Add(1)
				}
			})
			if i == 0 {
				synctest.Wait() // this one is being asked, and does not wait
			}
		}
		synctest.Wait()
		if n := refused.Load(); n != more {
			t.Errorf("%d refused", n)
		}
		sending.Wait()
	})
}
