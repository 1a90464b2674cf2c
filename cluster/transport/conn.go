package transport

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// Conn is one stream between two nodes.
type Conn struct {
	*tls.Conn
	peer  cluster.NodeID
	raw   net.Conn
	owner *Transport
	layer *Layer // of Raft's streams, else nil
	once  sync.Once
	err   error
}

// Peer is the node at the other end, empty for a node that is about to join.
func (c *Conn) Peer() cluster.NodeID { return c.peer }

// closeGrace is how long a closing stream may take to say goodbye to a peer that reads no more.
const closeGrace = 250 * time.Millisecond

// Close ends the stream. It does not wait for a peer that has stopped reading.
func (c *Conn) Close() error {
	c.once.Do(func() {
		c.owner.forget(c)
		// tls.Conn.Close would wait five seconds to send its alert.
		timer := time.AfterFunc(closeGrace, func() { _ = c.raw.Close() })
		c.err = c.Conn.Close()
		timer.Stop()
		_ = c.raw.Close()
	})
	return c.err
}

// track registers a connection so that Close reaches it; it reports false, and closes the
// connection, where the transport or the layer is closed already.
func (t *Transport) track(c *Conn) bool {
	t.mu.Lock()
	ok := !t.closed && (c.layer == nil || !c.layer.closed)
	if ok {
		t.conns[c] = struct{}{}
		if c.layer != nil {
			c.layer.conns[c] = struct{}{}
		}
	}
	t.mu.Unlock()
	if !ok {
		_ = c.Close()
	}
	return ok
}

func (t *Transport) forget(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
	if c.layer != nil {
		delete(c.layer.conns, c)
	}
}
