package harness

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a node that sends back what it gets, on the given address.
func echo(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("no loopback address %s here: %v", address, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
}

// wired is a network of three echoing nodes.
func wired(t *testing.T) (*Network, *addresses, []*Node) {
	t.Helper()
	addrs, err := claimAddresses(3)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(addrs.release)
	c := &Cluster{addresses: addrs, cfg: Config{Proxied: true}}
	for i, name := range []string{"n1", "n2", "n3"} {
		c.nodes = append(c.nodes, &Node{cluster: c, number: i + 1, Name: name})
		echo(t, hostPort(addrs.node(i+1), portCluster))
	}
	w, err := newNetwork(addrs, c.nodes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w, addrs, c.nodes
}

// call dials to's proxy from the address of from; nil from is from anywhere.
func call(t *testing.T, from, to *Node) net.Conn {
	t.Helper()
	var dialer net.Dialer
	if from != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from.IP())}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", to.advertised())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// talk sends a word and waits for its echo.
func talk(conn net.Conn, patience time.Duration) error {
	if _, err := conn.Write([]byte("word")); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err := io.ReadFull(conn, make([]byte, 4))
	return err
}

const long = 5 * time.Second

func TestCutClosed(t *testing.T) {
	w, _, n := wired(t)
	one, two, stranger := call(t, n[0], n[1]), call(t, n[2], n[1]), call(t, nil, n[1])
	for _, conn := range []net.Conn{one, two, stranger} {
		if err := talk(conn, long); err != nil {
			t.Fatal(err)
		}
	}
	w.CutLink(Closed, "n2", "n1")
	if err := talk(one, long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a cut connection: %v, want an end", err)
	}
	if err := talk(call(t, n[0], n[1]), long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a new connection over a cut link: %v, want an end", err)
	}
	if err := talk(two, long); err != nil {
		t.Errorf("another link: %v", err)
	}
	if err := talk(stranger, long); err == nil {
		t.Error("a caller who cannot be told apart gets through while a link is cut")
	}
	w.Heal()
	if err := talk(call(t, n[0], n[1]), long); err != nil {
		t.Errorf("after healing: %v", err)
	}
}

func TestCutSilent(t *testing.T) {
	w, _, n := wired(t)
	in, out, other := call(t, n[0], n[1]), call(t, n[1], n[2]), call(t, n[0], n[2])
	for _, conn := range []net.Conn{in, out, other} {
		if err := talk(conn, long); err != nil {
			t.Fatal(err)
		}
	}
	w.Cut(Silent, "n2")
	for name, conn := range map[string]net.Conn{"in": in, "out": out} {
		if err := talk(conn, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v, want silence", name, err)
		}
	}
	if err := talk(other, long); err != nil {
		t.Errorf("a link that is not cut: %v", err)
	}
	w.Heal()
	_ = in.SetReadDeadline(time.Now().Add(long))
	if _, err := io.ReadFull(in, make([]byte, 4)); err != nil {
		t.Errorf("what was sent in the silence does not come: %v", err)
	}
}

func TestPackets(t *testing.T) {
	w, addrs, n := wired(t)
	node, err := net.ListenPacket("udp", hostPort(addrs.node(2), portGossip))
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	caller, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(addrs.node(1)), Port: portGossip},
		&net.UDPAddr{IP: net.ParseIP(addrs.proxy(2)), Port: portGossip})
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	receive := func(patience time.Duration) (string, error) {
		_ = node.SetReadDeadline(time.Now().Add(patience))
		buf := make([]byte, 16)
		k, _, err := node.ReadFrom(buf)
		return string(buf[:k]), err
	}
	send := func(s string) {
		if _, err := caller.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	send("one")
	if got, err := receive(long); got != "one" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	w.Cut(Silent, n[0].Name)
	send("two")
	if got, err := receive(50 * time.Millisecond); err == nil {
		t.Errorf("%q came over a cut link", got)
	}
	w.Heal()
	send("three")
	if got, err := receive(long); got != "three" || err != nil {
		t.Errorf("after healing: %q, %v", got, err)
	}
}

func TestAddressesAreNotShared(t *testing.T) {
	a, err := claimAddresses(1)
	if err != nil {
		t.Skip(err)
	}
	defer a.release()
	b, err := claimAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.release()
	if a.net == b.net {
		t.Errorf("two runs share 127.30.%d", a.net)
	}
}
