package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
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
func connect(t *testing.T, cfg Config, serve func(dial int32, conn net.Conn)) *pair {
	t.Helper()
	p := &pair{}
	quiet := slog.New(slog.DiscardHandler)
	p.to = New(context.Background(), Config{Logger: quiet})
	cfg.Logger = quiet
	cfg.Dial = func(context.Context, cluster.NodeID) (net.Conn, error) {
		here, there := net.Pipe()
		n := p.dials.Add(1)
		p.serving.Go(func() {
			defer there.Close()
			if serve != nil {
				serve(n, there)
				return
			}
			p.to.Serve(context.Background(), "a", there)
		})
		return counted{here, &p.writes}, nil
	}
	p.from = New(context.Background(), cfg)
	t.Cleanup(func() {
		p.from.Close()
		p.serving.Wait()
		p.to.Close()
	})
	return p
}

// answers is a handler as raft's: it answers with last before it returns.
func answers(last uint64) func(raft.RPC) {
	return func(rpc raft.RPC) {
		args := rpc.Command.(*raft.AppendEntriesRequest)
		if !Is(args) {
			rpc.Respond(nil, errors.New("not a heartbeat"))
			return
		}
		rpc.Respond(&raft.AppendEntriesResponse{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("b")}, Term: args.Term, LastLog: last, Success: true}, nil)
	}
}

func beat(term uint64) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{Term: term, Leader: []byte("a@host"),
		RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("a"), Addr: []byte("host")}}
}

// TestGroupsShareFrames sends for many groups at once: each gets its own answer, in few writes.
func TestGroupsShareFrames(t *testing.T) {
	p := connect(t, Config{Tick: 20 * time.Millisecond}, nil)
	const groups, rounds = 300, 3
	var sending sync.WaitGroup
	for g := range cluster.GroupID(groups) {
		p.to.Open(g).SetHandler(answers(uint64(g) + 1000))
		port := p.from.Open(g)
		sending.Go(func() {
			for term := uint64(1); term <= rounds; term++ {
				var resp raft.AppendEntriesResponse
				if err := port.Send("b", beat(term), &resp); err != nil || resp.LastLog != uint64(g)+1000 || resp.Term != term || !resp.Success || string(resp.ID) != "b" {
					t.Errorf("%v: %+v, %v", g, resp, err)
				}
			}
		})
	}
	sending.Wait()
	if n := p.writes.Load(); n > groups/2 {
		t.Errorf("%d writes for %d heartbeats", n, groups*rounds)
	}
	if n := p.dials.Load(); n != 1 {
		t.Errorf("%d links", n)
	}
}

// TestExpedite has a tick that does not come: only Expedite lets a heartbeat go.
func TestExpedite(t *testing.T) {
	p := connect(t, Config{Tick: time.Hour, Timeout: 30 * time.Second}, nil)
	p.to.Open(1).SetHandler(answers(5))
	port := p.from.Open(1)
	var resp raft.AppendEntriesResponse
	if err := port.Send("b", beat(1), &resp); err != nil { // the first goes when the link is open
		t.Fatal(err)
	}
	held := make(chan error, 1)
	go func() { held <- port.Send("b", beat(1), new(raft.AppendEntriesResponse)) }()
	l, err := p.from.links.To("b")
	if err != nil {
		t.Fatal(err)
	}
	for waiting := 0; waiting == 0; { // until it is held
		l.mu.Lock()
		waiting = len(l.waiting)
		l.mu.Unlock()
	}
	done := port.Expedite()
	if err := <-held; err != nil {
		t.Error(err)
	}
	if err := port.Send("b", beat(1), &resp); err != nil {
		t.Error(err)
	}
	done()
}

func TestNobodyAnswers(t *testing.T) {
	p := connect(t, Config{Tick: time.Millisecond}, nil)
	send := func(g cluster.GroupID) error {
		return p.from.Open(g).Send("b", beat(1), new(raft.AppendEntriesResponse))
	}
	if err := send(1); !errors.Is(err, ErrNotHere) {
		t.Errorf("unknown group: %v", err)
	}
	port := p.to.Open(1)
	if err := send(1); !errors.Is(err, ErrNotHere) {
		t.Errorf("group without handler: %v", err)
	}
	port.SetHandler(func(raft.RPC) {})
	if err := send(1); !errors.Is(err, ErrNotHere) {
		t.Errorf("raft that shuts down: %v", err)
	}
	port.SetHandler(func(rpc raft.RPC) { rpc.Respond(nil, errors.New("disk on fire")) })
	if err := send(1); err == nil || errors.Is(err, ErrNotHere) {
		t.Errorf("raft with an error: %v", err)
	}
	port.SetHandler(answers(1))
	port.Close()
	if err := send(1); !errors.Is(err, ErrNotHere) {
		t.Errorf("closed port: %v", err)
	}
	if n := p.dials.Load(); n != 1 {
		t.Errorf("%d links, want one: none of this is the link's fault", n)
	}
}

// TestSlowGroup has one group of a frame that does not answer: the others are answered, the link stays.
func TestSlowGroup(t *testing.T) { synctest.Test(t, testSlowGroup) }

func testSlowGroup(t *testing.T) {
	p := connect(t, Config{Tick: time.Millisecond, Timeout: 200 * time.Millisecond}, nil)
	slow, stuck := p.to.Open(1), make(chan struct{})
	let := sync.OnceFunc(func() { close(stuck) })
	defer let() // before the cleanup waits for the handler
	slow.SetHandler(func(raft.RPC) { <-stuck })
	p.to.Open(2).SetHandler(answers(2))
	late := make(chan error, 1)
	go func() { late <- p.from.Open(1).Send("b", beat(1), new(raft.AppendEntriesResponse)) }()
	port := p.from.Open(2)
	for waiting := true; waiting; {
		if err := port.Send("b", beat(1), new(raft.AppendEntriesResponse)); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-late:
			waiting = false
			if !errors.Is(err, ErrLate) {
				t.Errorf("slow group: %v", err)
			}
		default:
		}
	}
	if n := p.dials.Load(); n != 1 {
		t.Errorf("%d links", n)
	}
	let()
	slow.Close()
}

// script serves connections of a peer that misbehaves: the first is served by first, others as they should.
func script(t *testing.T, cfg Config, first func(conn net.Conn)) (*pair, *Port) {
	t.Helper()
	var p *pair
	p = connect(t, cfg, func(dial int32, conn net.Conn) {
		if dial == 1 {
			first(conn)
			return
		}
		p.to.Serve(context.Background(), "a", conn)
	})
	p.to.Open(1).SetHandler(answers(1))
	return p, p.from.Open(1)
}

func TestPeersThatMisbehave(t *testing.T) {
	greet := func(conn net.Conn) { _, _ = conn.Write([]byte{Version}) }
	read := func(conn net.Conn) { _, _ = ReadFrame(conn) }
	whole := Frame{Type: TypeAnswers, Answers: []Answer{{Seq: 1}}}.Append(nil)
	released := make(chan struct{}) // the peer that reads nothing
	cases := []struct {
		name  string
		first func(conn net.Conn)
		want  error
	}{
		{"lost in the middle of a frame", func(c net.Conn) { greet(c); read(c); _, _ = c.Write(whole[:7]) }, io.ErrUnexpectedEOF},
		{"lost between frames", func(c net.Conn) { greet(c); read(c) }, io.EOF},
		{"oversize frame", func(c net.Conn) { greet(c); read(c); _, _ = c.Write([]byte{255, 0, 0, 0}) }, ErrFrame},
		{"unknown version", func(c net.Conn) { greet(c); read(c); _, _ = c.Write([]byte{0, 0, 0, 4, 9, 2, 0, 0}) }, ErrFrame},
		{"the wrong type", func(c net.Conn) { greet(c); read(c); _, _ = c.Write(frames()["beats"].Append(nil)) }, ErrFrame},
		{"no answer", func(c net.Conn) { greet(c); _, _ = io.Copy(io.Discard, c) }, ErrLate},
		{"reads nothing", func(c net.Conn) { greet(c); <-released }, os.ErrDeadlineExceeded},
		{"old, closes at once", func(net.Conn) {}, ErrOldPeer},
		{"old, version 0", func(c net.Conn) { _, _ = c.Write([]byte{0}) }, ErrOldPeer},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, port := script(t, Config{Tick: time.Millisecond, Timeout: 300 * time.Millisecond, OldPeer: time.Nanosecond}, c.first)
			err := port.Send("b", beat(1), new(raft.AppendEntriesResponse))
			if c.name == "reads nothing" {
				close(released)
			}
			// Of a write that is stuck and an answer that is missing, either may be found first.
			if !errors.Is(err, c.want) && !(c.want == os.ErrDeadlineExceeded && errors.Is(err, ErrLate)) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err := port.Send("b", beat(1), new(raft.AppendEntriesResponse)); err != nil {
				t.Errorf("the next link: %v", err)
			}
			if n := p.dials.Load(); n != 2 {
				t.Errorf("%d links", n)
			}
		})
	}
}

// TestOldPeerIsRemembered dials a peer with an old build once.
func TestOldPeerIsRemembered(t *testing.T) {
	p, port := script(t, Config{Tick: time.Millisecond}, func(net.Conn) {})
	for range 5 {
		if err := port.Send("b", beat(1), new(raft.AppendEntriesResponse)); !errors.Is(err, ErrOldPeer) {
			t.Error(err)
		}
	}
	if n := p.dials.Load(); n != 1 {
		t.Errorf("dialled %d times", n)
	}
}

// TestServeRefuses sends what is not heartbeats: Serve ends, and answers nothing.
func TestServeRefuses(t *testing.T) {
	x := New(context.Background(), Config{Logger: slog.New(slog.DiscardHandler)})
	defer x.Close()
	for i, in := range [][]byte{
		{255, 0, 0, 0},
		{0, 0, 0, 2, 2, 1},
		frames()["answers"].Append(nil),
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			here, there := net.Pipe()
			served := make(chan struct{})
			go func() {
				defer close(served)
				defer there.Close()
				x.Serve(context.Background(), "a", there)
			}()
			var version [1]byte
			if _, err := io.ReadFull(here, version[:]); err != nil || version[0] != Version {
				t.Fatalf("version %d, %v", version[0], err)
			}
			go func() { _, _ = here.Write(in) }()
			if rest, err := io.ReadAll(here); err != nil || len(rest) > 0 {
				t.Errorf("answered % x, %v", rest, err)
			}
			<-served
			_ = here.Close()
		})
	}
}

// TestCloseEndsCalls closes the exchange under a heartbeat that is held.
func TestCloseEndsCalls(t *testing.T) {
	p := connect(t, Config{Tick: time.Hour, Timeout: time.Hour}, func(_ int32, c net.Conn) {
		_, _ = c.Write([]byte{Version})
		_, _ = io.Copy(io.Discard, c)
	})
	ended := make(chan error, 1)
	port := p.from.Open(1)
	go func() { ended <- port.Send("b", beat(1), new(raft.AppendEntriesResponse)) }()
	p.from.Close()
	if err := <-ended; err == nil {
		t.Error("the call ended without an error")
	}
	if err := port.Send("b", beat(1), new(raft.AppendEntriesResponse)); !errors.Is(err, cluster.ErrStopped) {
		t.Error(err)
	}
}

// TestWait: a heartbeat goes with every second tick as long as the gap to its group's last answer allows it, and
// with the next tick of all otherwise.
func TestWait(t *testing.T) {
	x := New(context.Background(), Config{Logger: slog.New(slog.DiscardHandler)})
	defer x.Close()
	const ms = time.Millisecond
	start := time.Unix(1000, 0) // an even tick
	for _, c := range []struct {
		now, answered, want time.Duration // after start
	}{
		{now: 75 * ms, answered: 1 * ms, want: 200 * ms},  // pauses of 70 to 140 ms after a quick answer
		{now: 141 * ms, answered: 1 * ms, want: 200 * ms}, //
		{now: 230 * ms, answered: 160 * ms, want: 400 * ms},
		{now: 230 * ms, answered: 159 * ms, want: 300 * ms}, // the even tick would be 241 ms after the answer
		{now: 290 * ms, answered: 40 * ms, want: 300 * ms},  // a pause of WAN
		{now: 310 * ms, answered: 40 * ms, want: 400 * ms},
		{now: 75 * ms, answered: -time.Hour, want: 100 * ms}, // none in sight
	} {
		if got := c.now + x.wait(start.Add(c.now), start.Add(c.answered)); got != c.want {
			t.Errorf("%v, answered at %v: goes at %v, want %v", c.now, c.answered, got, c.want)
		}
	}
}

// TestEarlierTick: a heartbeat that cannot wait for the tick of those before it takes them along.
func TestEarlierTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{}, nil)
		var came [2]atomic.Int64
		send := func(g cluster.GroupID, port *Port) {
			if err := port.Send("b", beat(1), new(raft.AppendEntriesResponse)); err != nil {
				t.Error(err)
			}
			came[g].Store(time.Now().UnixMilli())
		}
		var ports [2]*Port
		for g := range cluster.GroupID(2) {
			p.to.Open(g).SetHandler(answers(1))
			ports[g] = p.from.Open(g)
		}
		time.Sleep(time.Until(time.UnixMilli(time.Now().UnixMilli()/200*200 + 200))) // of the bubble's clock: an even tick
		send(0, ports[0])                                                            // opens the link, and is answered now
		from := time.Now().UnixMilli()
		time.Sleep(20 * time.Millisecond)
		go send(0, ports[0]) // could wait for the even tick
		synctest.Wait()
		go send(1, ports[1]) // has no answer yet
		time.Sleep(time.Second)
		for g := range came {
			if at := came[g].Load() - from; at != 100 {
				t.Errorf("group %d: answered after %d ms", g, at)
			}
		}
	})
}
