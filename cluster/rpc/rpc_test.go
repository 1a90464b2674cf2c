package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newMux() *Mux { return NewMux(MaxFrame, slog.New(slog.DiscardHandler)) }

// server is a node that can be reached over loopback sockets.
type server struct {
	mux   *Mux
	dials atomic.Int32

	mu    sync.Mutex
	conns []net.Conn // the server's ends
	done  sync.WaitGroup
}

// dial opens a connection that handle serves.
func (s *server) dial(handle func(context.Context, cluster.NodeID, net.Conn)) Dialer {
	return func(ctx context.Context, node cluster.NodeID) (net.Conn, error) {
		if node != "b" {
			return nil, fmt.Errorf("no route to %s", node)
		}
		s.dials.Add(1)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return nil, err
		}
		conn, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		s.done.Go(func() {
			defer conn.Close()
			handle(context.Background(), "a", conn)
		})
		return client, nil
	}
}

// reset closes the server's ends, as the death of its process would.
func (s *server) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
}

func start(t *testing.T) (*server, *Client) {
	t.Helper()
	s := &server{mux: newMux()}
	c := NewClient(ClientConfig{Self: "a", Local: newMux(), DialCalls: s.dial(s.mux.ServeCalls), DialStreams: s.dial(s.mux.ServeStreams)})
	t.Cleanup(func() {
		_ = c.Close()
		s.reset()
		s.done.Wait()
	})
	return s, c
}

func TestCall(t *testing.T) {
	s, c := start(t)
	s.mux.Register("echo", func(_ context.Context, peer cluster.NodeID, q []byte) ([]byte, error) {
		return append([]byte(peer+":"), q...), nil
	})
	for _, size := range []int{0, 1, 1 << 10, firstRead, 3 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		got, err := c.Call(t.Context(), "b", "echo", body)
		if err != nil || !bytes.Equal(got, append([]byte("a:"), body...)) {
			t.Fatalf("call of %d bytes: %d bytes, %v", size, len(got), err)
		}
	}
	if n := s.dials.Load(); n != 1 {
		t.Errorf("%d connections for calls one after the other, want 1", n)
	}
	if _, err := c.Call(t.Context(), "b", "echo", make([]byte, MaxFrame)); !errors.Is(err, cluster.ErrTooLarge) {
		t.Errorf("request above the limit: %v", err)
	}
	if _, err := c.Call(t.Context(), "nowhere", "echo", nil); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("call of an unknown node: %v", err)
	}
}

func TestErrorsTravel(t *testing.T) {
	s, c := start(t)
	give := errors.New("something else")
	s.mux.Register("fail", func(context.Context, cluster.NodeID, []byte) ([]byte, error) {
		return nil, fmt.Errorf("propose to p7: %w", give)
	})
	for _, want := range []error{cluster.ErrNotLeader, cluster.ErrUnavailable, cluster.ErrNoReplica,
		cluster.ErrStorageFull, cluster.ErrTooLarge, cluster.ErrStopped, give} {
		give = want
		_, err := c.Call(t.Context(), "b", "fail", nil)
		var e *Error
		if !errors.As(err, &e) || e.Node != "b" || !strings.Contains(err.Error(), "propose to p7") {
			t.Fatalf("%v came over as %v", want, err)
		}
		if isSentinel := e.Code != codeOther; isSentinel && !errors.Is(err, want) {
			t.Errorf("%v came over as %v", want, err)
		}
	}
	if _, err := c.Call(t.Context(), "b", "nonsense", nil); !errors.Is(err, ErrUnknownMethod) {
		t.Errorf("unknown method: %v", err)
	}
	s.mux.Register("panic", func(context.Context, cluster.NodeID, []byte) ([]byte, error) { panic("oops") })
	if _, err := c.Call(t.Context(), "b", "panic", nil); err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("panic came over as %v", err)
	}
	s.mux.Register("huge", func(context.Context, cluster.NodeID, []byte) ([]byte, error) { return make([]byte, MaxFrame), nil })
	if _, err := c.Call(t.Context(), "b", "huge", nil); !errors.Is(err, cluster.ErrTooLarge) {
		t.Errorf("response above the limit: %v", err)
	}
	if n := s.dials.Load(); n != 1 {
		t.Errorf("errors cost connections: %d", n)
	}
}

func TestDeadlineTravels(t *testing.T) {
	s, c := start(t)
	left := make(chan time.Duration, 1)
	s.mux.Register("hang", func(ctx context.Context, _ cluster.NodeID, _ []byte) ([]byte, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := c.Call(ctx, "b", "hang", nil); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("call past its deadline: %v", err)
	}
	if d := <-left; d <= 0 || d > 510*time.Millisecond {
		t.Errorf("the method had %v", d)
	}
	// Cancelling without a deadline ends the call as well.
	ctx, cancel = context.WithCancel(t.Context())
	block := make(chan struct{})
	s.mux.Register("block", func(context.Context, cluster.NodeID, []byte) ([]byte, error) {
		cancel()
		<-block
		return nil, nil
	})
	if _, err := c.Call(ctx, "b", "block", nil); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("cancelled call: %v", err)
	}
	close(block)
}

func TestStaleConnectionsAreDropped(t *testing.T) {
	s, c := start(t)
	arrived, leave := make(chan struct{}), make(chan struct{})
	s.mux.Register("together", func(context.Context, cluster.NodeID, []byte) ([]byte, error) {
		arrived <- struct{}{}
		<-leave
		return nil, nil
	})
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			if _, err := c.Call(t.Context(), "b", "together", nil); err != nil {
				t.Error(err)
			}
		})
	}
	for range 4 {
		<-arrived
	}
	close(leave)
	calls.Wait()
	s.reset()
	s.done.Wait()
	s.mux.Register("ok", func(context.Context, cluster.NodeID, []byte) ([]byte, error) { return nil, nil })
	if _, err := c.Call(t.Context(), "b", "ok", nil); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("first call after a restart: %v, want ErrUnavailable", err)
	}
	if _, err := c.Call(t.Context(), "b", "ok", nil); err != nil {
		t.Errorf("second call after a restart: %v", err)
	}
}

func TestLocalCallsSkipTheNetwork(t *testing.T) {
	s, c := start(t)
	c.cfg.Local.Register("who", func(_ context.Context, peer cluster.NodeID, _ []byte) ([]byte, error) { return []byte(peer), nil })
	got, err := c.Call(t.Context(), "a", "who", nil)
	if err != nil || string(got) != "a" || s.dials.Load() != 0 {
		t.Errorf("local call: %q, %v, %d dials", got, err, s.dials.Load())
	}
}

func TestStream(t *testing.T) {
	s, c := start(t)
	s.mux.RegisterService("upper", func(_ context.Context, peer cluster.NodeID, conn net.Conn) {
		data, _ := io.ReadAll(io.LimitReader(conn, 5))
		_, _ = conn.Write(bytes.ToUpper(append([]byte(peer+" "), data...)))
	})
	conn, err := c.Open(t.Context(), "b", "upper")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "A HELLO" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := c.Open(t.Context(), "b", "lower"); !errors.Is(err, ErrUnknownMethod) {
		t.Errorf("unknown service: %v", err)
	}
}

func TestClosedClient(t *testing.T) {
	_, c := start(t)
	_ = c.Close()
	if _, err := c.Call(t.Context(), "b", "x", nil); !errors.Is(err, cluster.ErrStopped) {
		t.Errorf("call after close: %v", err)
	}
}

func TestExchange(t *testing.T) {
	s := &server{mux: NewMux(JoinFrame, slog.New(slog.DiscardHandler))}
	s.mux.Register("join", func(_ context.Context, peer cluster.NodeID, q []byte) ([]byte, error) {
		return append([]byte("welcome "), q...), nil
	})
	conn, err := s.dial(s.mux.ServeCalls)(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Exchange(t.Context(), conn, "join", []byte("n4"))
	if err != nil || string(got) != "welcome n4" {
		t.Errorf("exchange: %q, %v", got, err)
	}
	if _, err := Exchange(t.Context(), conn, "join", make([]byte, JoinFrame)); err == nil {
		t.Error("a frame above the limit was answered")
	}
	_ = conn.Close()
	s.done.Wait()
}

// FuzzFrames holds every parser of the wire against arbitrary bytes: no panic, memory bounded by
// what arrived, and what parses encodes to the same again.
func FuzzFrames(f *testing.F) {
	f.Add(request{wait: time.Second, method: "echo", body: []byte("x")}.append(nil))
	f.Add(appendResponse(nil, codeNotLeader, []byte("p1: not the leader")))
	f.Add(appendOpen(nil, "imap"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := readFrame(bytes.NewReader(data), MaxFrame)
		if err != nil {
			return
		}
		whole := data[:frameHeader+len(frame)]
		if q, err := parseRequest(frame); err == nil && !bytes.Equal(q.append(nil), whole) && waitMillis(q.wait) < 1<<31 {
			t.Errorf("request % x reads as %+v", whole, q)
		}
		if code, body, err := parseResponse(frame); err == nil && !bytes.Equal(appendResponse(nil, code, body), whole) {
			t.Errorf("response % x reads as %d %q", whole, code, body)
		}
		if name, err := parseOpen(frame); err == nil && !bytes.Equal(appendOpen(nil, name), whole) {
			t.Errorf("opening % x reads as %q", whole, name)
		}
	})
}

func BenchmarkCall(b *testing.B) {
	s := &server{mux: newMux()}
	s.mux.Register("echo", func(_ context.Context, _ cluster.NodeID, q []byte) ([]byte, error) { return q, nil })
	c := NewClient(ClientConfig{Self: "a", DialCalls: s.dial(s.mux.ServeCalls)})
	body := make([]byte, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Call(b.Context(), "b", "echo", body); err != nil {
			b.Fatal(err)
		}
	}
	_ = c.Close()
	s.done.Wait()
}
