package harness

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// Cutting says how a cut link behaves.
type Cutting int

// The ways to cut.
const (
	Closed Cutting = iota + 1 // connections end, and new ones are ended at once
	Silent                    // connections stay but carry nothing until the link heals, as when packets are lost
)

// String gives the way's name.
func (c Cutting) String() string {
	switch c {
	case Closed:
		return "closed"
	case Silent:
		return "silent"
	}
	return "whole"
}

// Network is the wire between the nodes of a proxied cluster: every stream and every gossip packet
// from one to another passes it. It may be used from several goroutines.
type Network struct {
	names map[string]string // by the address that a node calls from

	mu      sync.Mutex // guards what follows
	cuts    map[link]Cutting
	changed chan struct{} // closed, and made anew, with every change of cuts
	proxies []*proxy
	packets []*packetProxy
}

// link is the wire between two nodes, the smaller name first.
type link struct{ a, b string }

func between(a, b string) link {
	if a > b {
		a, b = b, a
	}
	return link{a, b}
}

// newNetwork listens on the advertised addresses of all nodes.
func newNetwork(addrs *addresses, nodes []*Node) (*Network, error) {
	w := &Network{names: map[string]string{}, cuts: map[link]Cutting{}, changed: make(chan struct{})}
	for _, n := range nodes {
		w.names[addrs.node(n.number)] = n.Name
	}
	for _, n := range nodes {
		listen, target := addrs.proxy(n.number), addrs.node(n.number)
		err := errors.Join(
			w.addProxy(n.Name, hostPort(listen, portCluster), hostPort(target, portCluster)),
			w.addProxy(n.Name, hostPort(listen, portGossip), hostPort(target, portGossip)),
			w.addPackets(n.Name, hostPort(listen, portGossip), hostPort(target, portGossip)),
		)
		if err != nil {
			w.close()
			return nil, fmt.Errorf("listen for %s: %w", n.Name, err)
		}
	}
	return w, nil
}

func (w *Network) addProxy(callee, listen, target string) error {
	p, err := newProxy(listen, target, w.wire(callee))
	if err == nil {
		w.proxies = append(w.proxies, p)
	}
	return err
}

func (w *Network) addPackets(callee, listen, target string) error {
	p, err := newPacketProxy(listen, target, w.wire(callee))
	if err == nil {
		w.packets = append(w.packets, p)
	}
	return err
}

// wire says how the link from a caller to callee is, and gives a channel that is closed when that
// may have changed.
type wire func(caller net.Addr) (Cutting, <-chan struct{})

func (w *Network) wire(callee string) wire {
	return func(caller net.Addr) (Cutting, <-chan struct{}) { return w.state(w.name(caller), callee) }
}

// name tells which node calls; "" is somebody whose address does not tell.
func (w *Network) name(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return ""
	}
	return w.names[host]
}

// state says how the link between two nodes is, and when to ask again. Somebody unknown has no
// link while anything is cut: it could be the node that is cut off.
func (w *Network) state(caller, callee string) (Cutting, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if caller == "" && len(w.cuts) > 0 {
		return Closed, w.changed
	}
	return w.cuts[between(caller, callee)], w.changed
}

// Cut cuts the links of one node to all others.
func (w *Network) Cut(how Cutting, node string) {
	var links []link
	for _, other := range w.names {
		if other != node {
			links = append(links, between(node, other))
		}
	}
	w.change(func() {
		for _, l := range links {
			w.cuts[l] = how
		}
	})
}

// CutLink cuts the link between two nodes.
func (w *Network) CutLink(how Cutting, a, b string) {
	w.change(func() { w.cuts[between(a, b)] = how })
}

// Heal mends all links.
func (w *Network) Heal() { w.change(func() { clear(w.cuts) }) }

func (w *Network) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

// close ends all proxies and waits for them.
func (w *Network) close() {
	for _, p := range w.proxies {
		p.close()
	}
	for _, p := range w.packets {
		p.close()
	}
}
