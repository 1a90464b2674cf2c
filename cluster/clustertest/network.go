package clustertest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// network is what lies between the nodes: real loopback sockets, with faults on the dialling side
// of each connection. Behind a cut nothing is refused: bytes are held back as TCP would, and go on
// when it heals, while whoever waits for them runs into its own deadline.
type network struct {
	mu      sync.Mutex // guards what follows
	nodes   map[string]cluster.NodeID
	addrs   map[cluster.NodeID]string
	cuts    map[pair]bool
	delays  map[pair]time.Duration
	dead    map[cluster.NodeID]bool
	links   map[*link]struct{}
	changed chan struct{} // closed and replaced at each change
}

// pair is two nodes in the order of their names.
type pair struct{ a, b cluster.NodeID }

func pairOf(a, b cluster.NodeID) pair {
	if b < a {
		a, b = b, a
	}
	return pair{a, b}
}

func newNetwork() *network {
	return &network{
		nodes: map[string]cluster.NodeID{}, addrs: map[cluster.NodeID]string{},
		cuts: map[pair]bool{}, delays: map[pair]time.Duration{}, dead: map[cluster.NodeID]bool{},
		links: map[*link]struct{}{}, changed: make(chan struct{}),
	}
}

// change alters faults under the lock, and wakes and flushes every connection.
func (n *network) change(how func()) {
	n.mu.Lock()
	how()
	close(n.changed)
	n.changed = make(chan struct{})
	links := make([]*link, 0, len(n.links))
	for l := range n.links {
		links = append(links, l)
	}
	n.mu.Unlock()
	for _, l := range links {
		l.flush()
	}
}

// attach gives a node its address, new at each start, and lets it be reached.
func (n *network) attach(id cluster.NodeID, address string) {
	n.change(func() {
		delete(n.nodes, n.addrs[id])
		n.nodes[address], n.addrs[id] = id, address
		delete(n.dead, id)
	})
}

// kill breaks every connection of a node, and lets it neither call nor be called: no byte leaves it
// once kill has returned.
func (n *network) kill(id cluster.NodeID) {
	var links []*link
	n.change(func() {
		n.dead[id] = true
		for l := range n.links {
			if l.between.a == id || l.between.b == id {
				links = append(links, l)
			}
		}
	})
	for _, l := range links {
		_ = l.Close()
	}
}

func (n *network) resolve(id cluster.NodeID) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addr, ok := n.addrs[id]
	return addr, ok
}

// fault tells what lies between two nodes now, and when to look again.
func (n *network) fault(p pair) (cut, dead bool, delay time.Duration, changed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cuts[p], n.dead[p.a] || n.dead[p.b], n.delays[p], n.changed
}

// dialer is the transport.Config.Dial of a node.
func (n *network) dialer(from cluster.NodeID) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		n.mu.Lock()
		to, known := n.nodes[address]
		n.mu.Unlock()
		if !known {
			return nil, fmt.Errorf("dial %s: %w", address, syscall.ECONNREFUSED)
		}
		between := pairOf(from, to)
		for {
			cut, dead, _, changed := n.fault(between)
			if dead {
				return nil, fmt.Errorf("dial %s: %w", address, syscall.ECONNREFUSED)
			}
			if !cut {
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return nil, fmt.Errorf("dial %s: %w", address, ctx.Err())
			}
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return n.connect(conn, between)
	}
}

func (n *network) connect(conn net.Conn, between pair) (net.Conn, error) {
	l := &link{Conn: conn, network: n, between: between, woken: make(chan struct{})}
	n.mu.Lock()
	dead := n.dead[between.a] || n.dead[between.b]
	if !dead {
		n.links[l] = struct{}{}
	}
	n.mu.Unlock()
	if dead {
		_ = conn.Close()
		return nil, syscall.ECONNREFUSED
	}
	return l, nil
}

// cut separates two nodes.
func (n *network) cut(a, b cluster.NodeID) { n.change(func() { n.cuts[pairOf(a, b)] = true }) }

// delay makes each write between two nodes, on the side that dialled, wait for d.
func (n *network) delay(a, b cluster.NodeID, d time.Duration) {
	n.change(func() { n.delays[pairOf(a, b)] = d })
}

// heal ends every cut and delay.
func (n *network) heal() {
	n.change(func() {
		clear(n.cuts)
		clear(n.delays)
	})
}
