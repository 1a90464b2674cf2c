package passage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/mta/passage"
	"github.com/rookery-mail/rookery/mta/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nodes is a cluster whose nodes are gates.
type nodes struct {
	gates map[cluster.NodeID]*passage.Gate
	tasks sync.WaitGroup
	ctx   context.Context
}

func (n *nodes) Open(_ context.Context, node cluster.NodeID, service string) (net.Conn, error) {
	g := n.gates[node]
	if g == nil || service != passage.Service {
		return nil, cluster.ErrUnavailable
	}
	ours, theirs := net.Pipe()
	n.tasks.Go(func() { defer theirs.Close(); g.Serve(n.ctx, theirs) })
	return ours, nil
}

var (
	mine = netip.MustParseAddr("192.0.2.1")
	gone = netip.MustParseAddr("192.0.2.2") // configured, and not there
	host = netip.MustParseAddrPort("198.51.100.25:25")
)

func newNodes(t *testing.T, serve func(net.Conn)) *nodes {
	ctx, cancel := context.WithCancel(context.Background())
	n := &nodes{ctx: ctx}
	n.gates = map[cluster.NodeID]*passage.Gate{"b": {
		Mine: func(a netip.Addr) bool { return a == mine || a == gone },
		Dial: func(_ context.Context, from remote.Source, to netip.AddrPort) (net.Conn, error) {
			if from.Address == gone {
				return nil, fmt.Errorf("%w: cannot assign", remote.ErrSource)
			}
			if from != (remote.Source{Address: mine}) || to != host {
				return nil, errors.New("connection refused")
			}
			ours, theirs := net.Pipe()
			n.tasks.Go(func() { defer theirs.Close(); serve(theirs) })
			return ours, nil
		},
	}}
	t.Cleanup(func() { cancel(); n.tasks.Wait() })
	return n
}

// TestPassage: octets go both ways, and the end of either side is the end of both.
func TestPassage(t *testing.T) {
	ended := make(chan error, 1)
	n := newNodes(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "220 hi\r\n")
		all, err := io.ReadAll(c)
		if err == nil && string(all) != "QUIT\r\n" {
			err = fmt.Errorf("%q", all)
		}
		ended <- err
	})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := passage.Dial(ctx, n, remote.Source{Node: "b", Address: mine, Hello: "out"}, host)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "220 hi\r\n" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := io.WriteString(c, "QUIT\r\n"); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestRefused: what the other node cannot do is told apart from what the host does not.
func TestRefused(t *testing.T) {
	n := newNodes(t, func(net.Conn) {})
	for _, c := range []struct {
		from   remote.Source
		to     netip.AddrPort
		source bool
		text   string
	}{
		{remote.Source{Node: "x", Address: mine}, host, true, ""},
		{remote.Source{Node: "b", Address: gone}, host, true, "cannot assign"},
		{remote.Source{Node: "b", Address: netip.MustParseAddr("192.0.2.3")}, host, true, "does not go out by 192.0.2.3"},
		{remote.Source{Node: "b", Address: mine}, netip.MustParseAddrPort("198.51.100.1:25"), false, "connection refused"},
	} {
		_, err := passage.Dial(context.Background(), n, c.from, c.to)
		if err == nil || errors.Is(err, remote.ErrSource) != c.source || !strings.Contains(err.Error(), c.text) {
			t.Errorf("by %v to %v: %v", c.from, c.to, err)
		}
	}
}

// TestEnds: the end of the node ends what goes through it, and the end of the caller's patience what he waits for.
func TestEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	n := newNodes(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	n.ctx = ctx
	c, err := passage.Dial(context.Background(), n, remote.Source{Node: "b", Address: mine}, host)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a passage outlives its node")
	}
	_ = c.Close()

	silent := silentNode{}
	late, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := passage.Dial(late, &silent, remote.Source{Node: "b", Address: mine}, host); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	silent.tasks.Wait()
}

// silentNode takes streams and says nothing.
type silentNode struct{ tasks sync.WaitGroup }

func (n *silentNode) Open(context.Context, cluster.NodeID, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	n.tasks.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
	return ours, nil
}

// FuzzServe: whatever another node sends, a gate connects only from addresses that are its own.
func FuzzServe(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x75\x30\x09192.0.2.1\x10198.51.100.25:25"))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, said []byte) {
		g := &passage.Gate{Mine: func(a netip.Addr) bool { return a == mine },
			Dial: func(_ context.Context, from remote.Source, _ netip.AddrPort) (net.Conn, error) {
				if from.Address != mine {
					t.Errorf("from %v", from)
				}
				return nil, errors.New("connection refused")
			}}
		ours, theirs := net.Pipe()
		var tasks sync.WaitGroup
		tasks.Go(func() { g.Serve(context.Background(), theirs); _ = theirs.Close() })
		tasks.Go(func() { _, _ = ours.Write(said); _ = ours.Close() })
		_, _ = io.Copy(io.Discard, ours)
		tasks.Wait()
	})
}

// TestFrames: frames are for ever.
func TestFrames(t *testing.T) {
	var sent bytes.Buffer
	var tasks sync.WaitGroup
	n := recorder(func() net.Conn {
		ours, theirs := net.Pipe()
		tasks.Go(func() {
			head := make([]byte, 5+1+9+1+16)
			_, _ = io.ReadFull(theirs, head)
			sent.Write(head)
			_, _ = theirs.Write([]byte{0, 0, 0})
			_, _ = io.Copy(io.Discard, theirs)
		})
		return ours
	})
	c, err := passage.Dial(context.Background(), n, remote.Source{Node: "b", Address: mine}, host)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	tasks.Wait()
	if got := sent.String(); got != "\x01\x00\x00\x00\x00\x09192.0.2.1\x10198.51.100.25:25" {
		t.Errorf("%q", got)
	}
}

type recorder func() net.Conn

func (r recorder) Open(context.Context, cluster.NodeID, string) (net.Conn, error) { return r(), nil }
