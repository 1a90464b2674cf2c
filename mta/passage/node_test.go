package passage_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/rpc"
	"github.com/rookery-mail/rookery/mta/passage"
	"github.com/rookery-mail/rookery/mta/remote"
)

// TestByNode: a message goes to a real host over a stream between nodes, out of the address that the other node has.
func TestByNode(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	peers := make(chan string, 1)
	tasks.Go(func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		peers <- c.RemoteAddr().String()
		_, _ = io.WriteString(c, "220 hi\r\n")
		_, _ = io.Copy(io.Discard, c)
	})

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	mux := rpc.NewMux(rpc.MaxFrame, slog.New(slog.DiscardHandler))
	g := &passage.Gate{Mine: func(a netip.Addr) bool { return a.String() == "127.0.0.2" }, Dial: remote.DialFrom}
	mux.RegisterService(passage.Service, func(ctx context.Context, _ cluster.NodeID, conn net.Conn) { g.Serve(ctx, conn) })
	client := rpc.NewClient(rpc.ClientConfig{Self: "a", DialStreams: func(context.Context, cluster.NodeID) (net.Conn, error) {
		ours, theirs := net.Pipe()
		tasks.Go(func() { defer theirs.Close(); mux.ServeStreams(ctx, "a", theirs) })
		return ours, nil
	}})
	defer client.Close()
	c, err := passage.Dial(ctx, client, remote.Source{Node: "b", Address: netip.MustParseAddr("127.0.0.2")}, netip.MustParseAddrPort(listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	greeting := make([]byte, 8)
	if _, err := io.ReadFull(c, greeting); err != nil || string(greeting) != "220 hi\r\n" {
		t.Errorf("%q %v", greeting, err)
	}
	if p := <-peers; !strings.HasPrefix(p, "127.0.0.2:") {
		t.Errorf("the host sees %s", p)
	}
}
