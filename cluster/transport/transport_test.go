package transport_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/certs"
	"github.com/rookery-mail/rookery/cluster/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logs collects log lines of concurrent writers.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) waitFor(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		found := strings.Contains(l.buf.String(), text)
		l.mu.Unlock()
		if found {
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Fatalf("no log line with %q in:\n%s", text, l.buf.String())
}

func newCA(t *testing.T, id string) *certs.CA {
	t.Helper()
	ca, err := certs.NewCA(id, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func identity(t *testing.T, ca *certs.CA, node cluster.NodeID) *certs.Identity {
	t.Helper()
	key, request, err := certs.NewNodeRequest(node)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := ca.SignNode(node, request, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	id, err := certs.NewIdentity(chain, key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// network is a set of transports that find each other.
type network struct {
	mu    sync.Mutex
	addrs map[cluster.NodeID]string
	logs  logs
}

func (n *network) resolve(id cluster.NodeID) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addr, ok := n.addrs[id]
	return addr, ok
}

func (n *network) set(id cluster.NodeID, addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addrs == nil {
		n.addrs = map[cluster.NodeID]string{}
	}
	n.addrs[id] = addr
}

// start runs a node until the test ends. setup sets handlers and may change the Config.
func (n *network) start(t *testing.T, ca *certs.CA, id cluster.NodeID, setup func(*transport.Config)) *transport.Transport {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := transport.Config{
		Self: id, Identity: identity(t, ca, id), Listener: listener, Resolve: n.resolve,
		Logger: slog.New(slog.NewTextHandler(&n.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if setup != nil {
		setup(&cfg)
	}
	n.set(id, listener.Addr().String())
	return transport.New(context.Background(), cfg)
}

func serve(t *testing.T, tr *transport.Transport) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- tr.Serve() }()
	t.Cleanup(func() {
		_ = tr.Close()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// echo answers with the peer's name, a colon and what it read until a newline.
func echo(_ context.Context, peer cluster.NodeID, conn net.Conn) {
	var line [64]byte
	n, err := conn.Read(line[:])
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte(string(peer) + ":" + string(line[:n])))
}

func ask(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestPeersKnowEachOther(t *testing.T) {
	var n network
	ca := newCA(t, "c1")
	a, b := n.start(t, ca, "a", nil), n.start(t, ca, "b", nil)
	b.Handle(transport.KindRPC, echo)
	serve(t, a)
	serve(t, b)
	for i := range 3 {
		conn, err := a.Dial(t.Context(), "b", transport.KindRPC)
		if err != nil {
			t.Fatal(err)
		}
		tc := conn.(*transport.Conn)
		if tc.Peer() != "b" {
			t.Errorf("peer of the dialled stream is %q", tc.Peer())
		}
		if resumed := tc.ConnectionState().DidResume; resumed != (i > 0) {
			t.Errorf("connection %d: session resumed: %v", i, resumed)
		}
		if got := ask(t, conn, "hi"); got != "a:hi" {
			t.Errorf("answer %q, want a:hi", got)
		}
	}
	if _, err := a.Dial(t.Context(), "nobody", transport.KindRPC); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("dial of an unknown node: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	var n network
	ours, theirs := newCA(t, "c1"), newCA(t, "c2")
	forged := newCA(t, "c1") // the same name, another key
	removed := cluster.NodeID("gone")
	b := n.start(t, ours, "b", func(c *transport.Config) {
		c.Authorize = func(id cluster.NodeID) bool { return id != removed }
	})
	b.Handle(transport.KindRPC, echo)
	b.Handle(transport.KindJoin, echo)
	serve(t, b)

	// TLS 1.3 lets the client finish before the server judged it: either the dial or the first read fails.
	refused := func(name string, a *transport.Transport, kind transport.Kind, line string) {
		t.Run(name, func(t *testing.T) {
			serve(t, a)
			conn, err := a.Dial(t.Context(), "b", kind)
			if err == nil {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				_, _ = conn.Write([]byte("hi"))
				if got, err := io.ReadAll(conn); len(got) > 0 {
					t.Errorf("was answered %q, %v", got, err)
				}
			}
			n.logs.waitFor(t, line)
		})
	}
	foreign := n.start(t, theirs, "x", nil)
	if _, err := foreign.Dial(t.Context(), "b", transport.KindRPC); !errors.Is(err, certs.ErrForeignCluster) {
		t.Errorf("a foreign node dials: %v, want ErrForeignCluster", err)
	}
	_ = foreign.Close()
	blind := func(id cluster.NodeID, ca *certs.CA) *transport.Transport {
		return n.start(t, ca, id, func(c *transport.Config) { c.Identity = blindIdentity{c.Identity} })
	}
	refused("foreign", blind("x1", theirs), transport.KindRPC, "node x1 of cluster c2, this is cluster c1")
	refused("forged", blind("x2", forged), transport.KindRPC, "certificate not signed by the cluster's authority")
	refused("removed", n.start(t, ours, removed, nil), transport.KindRPC, "node gone, which is not a member")
	refused("unserved", n.start(t, ours, "a", nil), transport.KindStream, "stream stream of node a: nothing serves it")
	refused("unknown kind", n.start(t, ours, "a", nil), transport.Kind(99), "kind(99) stream of node a")

	t.Run("without certificate", func(t *testing.T) {
		conn, err := transport.DialJoin(t.Context(), b.Addr().String(), certs.JoinTLS(ours.Fingerprint()))
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, conn, "let me in"); got != ":let me in" {
			t.Errorf("join answered %q", got)
		}
		if _, err := transport.DialJoin(t.Context(), b.Addr().String(), certs.JoinTLS(theirs.Fingerprint())); !errors.Is(err, certs.ErrForeignCluster) {
			t.Errorf("join with another cluster's token: %v", err)
		}
		raw, err := tls.Dial("tcp", b.Addr().String(), certs.JoinTLS(ours.Fingerprint()))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = raw.Write(transport.Header{Kind: transport.KindRPC}.Append(nil))
		if got := ask(t, raw, "hi"); got != "" {
			t.Errorf("rpc without certificate answered %q", got)
		}
		n.logs.waitFor(t, "rpc stream without a node certificate")
	})
}

// blindIdentity talks to any server, to see that the server refuses by itself.
type blindIdentity struct{ transport.Identity }

func (b blindIdentity) ClientTLS() *tls.Config {
	config := b.Identity.ClientTLS()
	config.VerifyConnection = nil
	return config
}

func TestAnotherNodeAnswers(t *testing.T) {
	var n network
	ca := newCA(t, "c1")
	a, b := n.start(t, ca, "a", nil), n.start(t, ca, "b", nil)
	serve(t, a)
	serve(t, b)
	n.set("c", b.Addr().String())
	if _, err := a.Dial(t.Context(), "c", transport.KindRPC); !errors.Is(err, transport.ErrRefused) {
		t.Errorf("dial of c reached b: %v, want ErrRefused", err)
	}
}

func TestLayersAreApart(t *testing.T) {
	var n network
	ca := newCA(t, "c1")
	a, b := n.start(t, ca, "a", nil), n.start(t, ca, "b", nil)
	serve(t, a)
	serve(t, b)
	open := func(tr *transport.Transport, g cluster.GroupID) *transport.Layer {
		l, err := tr.StreamLayer(g)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a1, b1, b2 := open(a, 1), open(b, 1), open(b, 2)
	if _, err := b.StreamLayer(1); err == nil {
		t.Error("a group's layer was opened twice")
	}
	addr, err := a.Addresses().ServerAddr("b")
	if err != nil || !strings.HasPrefix(string(addr), "b@") {
		t.Fatalf("address of b: %q, %v", addr, err)
	}
	for _, address := range []raft.ServerAddress{addr, raft.ServerAddress(b.Addr().String())} {
		conn, err := a1.Dial(address, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		in, err := b1.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if peer := in.(*transport.Conn).Peer(); peer != "a" {
			t.Errorf("accepted stream's peer is %q", peer)
		}
	}
	_ = b2.Close()
	if _, err := b2.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept of a closed layer: %v", err)
	}
	conn, err := a1.Dial(addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	in, err := b1.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = b1.Close() // closes the stream in hand as well
	if _, err := in.Read(make([]byte, 1)); err == nil {
		t.Error("a stream outlived its layer")
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the other end of a closed layer: %v", err)
	}
	open(b, 1) // may be opened again
}

func TestCloseDoesNotWaitForSilentPeers(t *testing.T) {
	var n network
	ca := newCA(t, "c1")
	a := n.start(t, ca, "a", nil)
	a.Handle(transport.KindRPC, func(ctx context.Context, _ cluster.NodeID, _ net.Conn) { <-ctx.Done() })
	serve(t, a)
	raw, err := net.Dial("tcp", a.Addr().String()) // never shakes hands
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	b := n.start(t, ca, "b", nil)
	serve(t, b)
	conn, err := b.Dial(t.Context(), "a", transport.KindRPC)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	start := time.Now()
	_ = a.Close()
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("close took %v", took)
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add(transport.Header{Kind: transport.KindRaft, Group: 7}.Append(nil))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		h, err := transport.ReadHeader(r)
		if err != nil {
			return
		}
		if again := h.Append(nil); !bytes.Equal(again, data[:8]) || r.Len() != len(data)-8 {
			t.Fatalf("header % x reads as %+v", data, h)
		}
	})
}
