package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// ErrRefused says that a peer may not open this stream: it has no certificate, was removed from the
// cluster, or is another node than the one called.
var ErrRefused = errors.New("peer refused")

// serveConn brings an accepted connection up to its header and hands it on.
func (t *Transport) serveConn(raw net.Conn) {
	conn := &Conn{Conn: tls.Server(raw, t.serverTLS), raw: raw, owner: t}
	if !t.track(conn) {
		return
	}
	handler, header, err := t.receive(conn)
	if err != nil {
		_ = conn.Close()
		if t.ctx.Err() == nil && !errors.Is(err, io.EOF) {
			t.cfg.Logger.Warn("refused a connection to the cluster port", "from", raw.RemoteAddr().String(), "error", err)
		}
		return
	}
	if header.Kind == KindRaft {
		t.toLayer(conn, header.Group)
		return
	}
	defer conn.Close()
	handler(t.ctx, conn.peer, conn)
}

// receive shakes hands, reads the header and finds the handler that may serve it (nil for Raft).
func (t *Transport) receive(conn *Conn) (Handler, Header, error) {
	_ = conn.raw.SetDeadline(time.Now().Add(t.cfg.SetupTimeout))
	ctx, cancel := context.WithTimeout(t.ctx, t.cfg.SetupTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, Header{}, fmt.Errorf("shake hands: %w", err)
	}
	header, err := ReadHeader(conn)
	if err != nil {
		return nil, Header{}, err
	}
	peer, known := t.cfg.Identity.PeerOf(conn.ConnectionState())
	conn.peer = peer
	switch {
	case !known && header.Kind != KindJoin:
		return nil, Header{}, fmt.Errorf("%v stream without a node certificate: %w", header.Kind, ErrRefused)
	case known && !t.allowed(peer):
		return nil, Header{}, fmt.Errorf("%v stream of node %s, which is not a member: %w", header.Kind, peer, ErrRefused)
	}
	t.mu.Lock()
	handler := t.handlers[header.Kind]
	t.mu.Unlock()
	if handler == nil && header.Kind != KindRaft {
		return nil, Header{}, fmt.Errorf("%v stream of node %s: nothing serves it: %w", header.Kind, peer, ErrHeader)
	}
	return handler, header, conn.raw.SetDeadline(time.Time{})
}

func (t *Transport) allowed(peer cluster.NodeID) bool {
	return t.cfg.Authorize == nil || t.cfg.Authorize(peer)
}

// toLayer hands a stream to the Raft group it is for. A node may be called for a group it does not
// have yet, or no longer: the caller tries again.
func (t *Transport) toLayer(conn *Conn, group cluster.GroupID) {
	t.mu.Lock()
	layer := t.layers[group]
	conn.layer = layer
	if layer != nil && !layer.closed {
		layer.conns[conn] = struct{}{}
	}
	t.mu.Unlock()
	if layer == nil {
		t.cfg.Logger.Debug("closed a raft stream of a group that is not here", "group", group.String(), "peer", string(conn.peer))
		_ = conn.Close()
		return
	}
	select {
	case layer.incoming <- conn:
	case <-layer.done:
		_ = conn.Close()
	}
}
