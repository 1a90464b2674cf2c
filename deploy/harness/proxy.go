package harness

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// proxy passes TCP connections on to one node, as far as the wire lets them.
type proxy struct {
	listener net.Listener
	target   string
	wire     wire
	ctx      context.Context // ends with close
	cancel   context.CancelFunc
	wait     sync.WaitGroup
}

func newProxy(listen, target string, w wire) (*proxy, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, wire: w}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wait.Go(p.accept)
	return p, nil
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.wait.Go(func() { p.serve(conn) })
	}
}

// serve passes one connection on until an end closes it, the link is cut or the proxy ends.
func (p *proxy) serve(caller net.Conn) {
	defer caller.Close()
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	state := func() (Cutting, <-chan struct{}) { return p.wire(caller.RemoteAddr()) }
	if !open(ctx, state) {
		return
	}
	dialer := net.Dialer{Timeout: time.Second}
	node, err := dialer.DialContext(ctx, "tcp", p.target)
	if err != nil {
		return
	}
	defer node.Close()
	var pumps sync.WaitGroup
	defer pumps.Wait()
	for _, way := range [][2]net.Conn{{caller, node}, {node, caller}} {
		pumps.Go(func() {
			defer cancel()
			pump(ctx, way[0], way[1], state)
		})
	}
	for {
		how, changed := state()
		if how == Closed {
			reset(caller)
			reset(node)
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			_ = caller.Close()
			_ = node.Close()
			return
		}
	}
}

// open waits while the link is silent, and reports whether it is whole then.
func open(ctx context.Context, state func() (Cutting, <-chan struct{})) bool {
	for {
		how, changed := state()
		switch how {
		case Closed:
			return false
		case Silent:
			select {
			case <-changed:
			case <-ctx.Done():
				return false
			}
		default:
			return ctx.Err() == nil
		}
	}
}

// pump copies from one end to the other. What was read before a silence arrives after it; so does
// the end of the connection.
func pump(ctx context.Context, from, to net.Conn, state func() (Cutting, <-chan struct{})) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if !open(ctx, state) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// reset closes a connection so that the other end sees an error and not an end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// close ends the proxy and its connections, and waits.
func (p *proxy) close() {
	p.cancel()
	_ = p.listener.Close()
	p.wait.Wait()
}

// packetProxy passes UDP packets on to one node. It carries one way: gossip answers to the address
// that its messages name, which is the asker's own proxy.
type packetProxy struct {
	conn *net.UDPConn
	wait sync.WaitGroup
}

func newPacketProxy(listen, target string, w wire) (*packetProxy, error) {
	from, err := net.ResolveUDPAddr("udp", listen)
	if err != nil {
		return nil, fmt.Errorf("read the address %s: %w", listen, err)
	}
	to, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		return nil, fmt.Errorf("read the address %s: %w", target, err)
	}
	conn, err := net.ListenUDP("udp", from)
	if err != nil {
		return nil, err
	}
	p := &packetProxy{conn: conn}
	p.wait.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, caller, err := conn.ReadFromUDP(buf)
			if err != nil {
				return // closed
			}
			if how, _ := w(caller); how != 0 || caller.IP.Equal(to.IP) {
				continue
			}
			_, _ = conn.WriteToUDP(buf[:n], to) // a packet may be lost
		}
	})
	return p, nil
}

// close ends the proxy and waits.
func (p *packetProxy) close() {
	_ = p.conn.Close()
	p.wait.Wait()
}
