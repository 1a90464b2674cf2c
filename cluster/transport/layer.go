package transport

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// Layer is the raft.StreamLayer of one group: a listener for the group's incoming streams and a
// dialler for outgoing ones. Closing it closes all streams of the group, in both directions, which
// is what ends the goroutines of raft.NetworkTransport.
type Layer struct {
	owner    *Transport
	group    cluster.GroupID
	incoming chan *Conn
	done     chan struct{}

	conns  map[*Conn]struct{} // guarded by owner.mu
	closed bool               // guarded by owner.mu
}

var _ raft.StreamLayer = (*Layer)(nil)

// StreamLayer opens the Raft side of a group. A group has one at a time; after Close it may be
// opened again.
func (t *Transport) StreamLayer(group cluster.GroupID) (*Layer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, fmt.Errorf("open the raft streams of %v: %w", group, cluster.ErrStopped)
	}
	if t.layers[group] != nil {
		return nil, fmt.Errorf("open the raft streams of %v: they are open already", group)
	}
	layer := &Layer{
		owner: t, group: group,
		incoming: make(chan *Conn),
		done:     make(chan struct{}),
		conns:    map[*Conn]struct{}{},
	}
	t.layers[group] = layer
	return layer, nil
}

// Accept waits for the next incoming stream of the group.
func (l *Layer) Accept() (net.Conn, error) {
	select {
	case conn := <-l.incoming:
		return conn, nil
	case <-l.done:
		return nil, fmt.Errorf("raft streams of %v: %w", l.group, net.ErrClosed)
	}
}

// Close ends the group's streams. It may be called more than once.
func (l *Layer) Close() error {
	t := l.owner
	t.mu.Lock()
	if l.closed {
		t.mu.Unlock()
		return nil
	}
	l.closed = true
	if t.layers[l.group] == l {
		delete(t.layers, l.group)
	}
	conns := make([]*Conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	t.mu.Unlock()
	close(l.done)
	for _, c := range conns {
		_ = c.Close()
	}
	return nil
}

// Addr is the address of the transport.
func (l *Layer) Addr() net.Addr { return l.owner.Addr() }

// Dial opens a stream of the group. The address is either what ServerAddr made, and then the node
// that answers is checked, or a plain one out of a Raft configuration.
func (l *Layer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	// raft gives a duration instead of a context; the transport's end cancels all the same.
	if timeout <= 0 {
		timeout = l.owner.cfg.SetupTimeout
	}
	ctx, cancel := context.WithTimeout(l.owner.ctx, timeout)
	defer cancel()
	node, host := splitAddress(address)
	conn, err := l.owner.dial(ctx, node, host, Header{Kind: KindRaft, Group: l.group}, l)
	if err != nil {
		return nil, err // not a nil *Conn in an interface
	}
	return conn, nil
}

// addresses is the raft.ServerAddressProvider of a transport.
type addresses struct {
	resolve func(cluster.NodeID) (string, bool)
}

var _ raft.ServerAddressProvider = addresses{}

// Addresses gives Raft the present address of a node, so that a node may move. Where the resolver
// does not know the node, raft falls back on the address in its configuration.
func (t *Transport) Addresses() raft.ServerAddressProvider { return addresses{t.cfg.Resolve} }

// ServerAddr gives "node@host:port": Dial then knows who has to answer.
func (a addresses) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	host, ok := a.resolve(cluster.NodeID(id))
	if !ok {
		return "", fmt.Errorf("address of node %s is not known", id)
	}
	return raft.ServerAddress(string(id) + "@" + host), nil
}

func splitAddress(address raft.ServerAddress) (node cluster.NodeID, host string) {
	if name, host, ok := strings.Cut(string(address), "@"); ok {
		return cluster.NodeID(name), host
	}
	return "", string(address)
}
