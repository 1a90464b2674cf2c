package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// Dial opens a stream of a kind to a node at the address Resolve gives. The connection is the
// caller's to close.
func (t *Transport) Dial(ctx context.Context, node cluster.NodeID, kind Kind) (net.Conn, error) {
	address, ok := t.cfg.Resolve(node)
	if !ok {
		return nil, fmt.Errorf("call node %s: its address is not known: %w", node, cluster.ErrUnavailable)
	}
	return t.dial(ctx, node, address, Header{Kind: kind}, nil)
}

// dial opens a stream to address, and checks that node answers there unless node is empty.
func (t *Transport) dial(ctx context.Context, node cluster.NodeID, address string, header Header, layer *Layer) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.SetupTimeout)
	defer cancel()
	// A call ends with the transport, not only with its own context.
	defer context.AfterFunc(t.ctx, cancel)()
	raw, err := t.cfg.Dial(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("call node %s at %s: %w", node, address, err)
	}
	conn := &Conn{Conn: tls.Client(raw, t.clientTLS), raw: raw, owner: t, layer: layer}
	if !t.track(conn) {
		return nil, fmt.Errorf("call node %s: %w", node, cluster.ErrStopped)
	}
	if err := t.introduce(ctx, conn, node, header); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("call node %s at %s: %w", node, address, err)
	}
	return conn, nil
}

// introduce shakes hands on a dialled connection, checks who answered and sends the header.
func (t *Transport) introduce(ctx context.Context, conn *Conn, node cluster.NodeID, header Header) error {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.raw.SetDeadline(deadline)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("shake hands: %w", err)
	}
	peer, known := t.cfg.Identity.PeerOf(conn.ConnectionState())
	switch {
	case !known:
		return fmt.Errorf("it shows no node certificate: %w", ErrRefused)
	case node != "" && peer != node:
		return fmt.Errorf("node %s answers there: %w", peer, ErrRefused)
	case !t.allowed(peer):
		return fmt.Errorf("node %s is not a member: %w", peer, ErrRefused)
	}
	conn.peer = peer
	if _, err := conn.Write(header.Append(nil)); err != nil {
		return fmt.Errorf("send header: %w", err)
	}
	return conn.raw.SetDeadline(time.Time{})
}

// DialJoin opens the stream on which a node without certificate asks to join. config is
// certs.JoinTLS: it proves that the right cluster answers. ctx bounds the setup only.
func DialJoin(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("call %s to join: %w", address, err)
	}
	conn := tls.Client(raw, config)
	if deadline, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(deadline)
	}
	if err = conn.HandshakeContext(ctx); err == nil {
		_, err = conn.Write(Header{Kind: KindJoin}.Append(nil))
	}
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("call %s to join: %w", address, err)
	}
	return conn, raw.SetDeadline(time.Time{})
}
