package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/imapd/engine"
)

// conn is a connection as its session sees it. Its methods are for the session's goroutine, but drain
// and cut.
type conn struct {
	srv    *Server
	kind   Kind
	raw    net.Conn // beneath TLS
	nc     net.Conn // raw, or TLS over it
	remote netip.Addr
	peer   netip.Prefix
	owned  bool // a peer node speaks: the connection is as good as TLS

	ahead   chan octet        // the octet that Wait reads; nil while it does not
	taken   *octet            // it, once read
	account cluster.AccountID // that it is counted for; guarded by srv.mu

	upstream net.Conn  // where the session was handed over to
	deflated *deflated // nil: nothing is compressed

	mu       sync.Mutex // guards what follows
	within   bool       // a command is being carried out
	loggedIn bool
	since    time.Time // when it came, or its last user left
	draining bool
}

// octet is the outcome of reading one octet.
type octet struct {
	b   byte
	err error
}

var _ engine.Conn = (*conn)(nil)

// Within implements engine.Conn.
func (c *conn) Within(command bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.within = command
}

// Secure implements engine.Conn.
func (c *conn) Secure() bool {
	_, ok := c.nc.(*tls.Conn)
	return ok || c.owned
}

// CanStartTLS implements engine.Conn.
func (c *conn) CanStartTLS() bool {
	return !c.Secure() && c.srv.c.TLS != nil && c.deflated == nil // TLS is beneath compression, never above
}

// StartTLS implements engine.Conn.
func (c *conn) StartTLS(ctx context.Context) error {
	if err := c.raw.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return c.handshake(ctx)
}

// arm sets the read deadline that fits what is being waited for.
func (c *conn) arm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, now := &c.srv.c.Limits, time.Now()
	switch {
	case c.draining && !c.within:
		return cluster.ErrStopped
	case !c.loggedIn:
		return c.raw.SetReadDeadline(until(c.since, l.Login))
	case c.within:
		return c.raw.SetReadDeadline(until(now, l.Command))
	default:
		return c.raw.SetReadDeadline(until(now, l.Idle))
	}
}

// until is t plus d; a negative d is never.
func until(t time.Time, d time.Duration) time.Time {
	if d < 0 {
		return time.Time{}
	}
	return t.Add(d)
}

// Read implements io.Reader.
func (c *conn) Read(p []byte) (int, error) {
	if c.deflated != nil {
		return c.deflated.read(p, c.readRaw)
	}
	return c.readRaw(p)
}

// readRaw reads what comes, compressed or not.
func (c *conn) readRaw(p []byte) (int, error) {
	if c.taken == nil && c.ahead != nil {
		c.take(<-c.ahead)
	}
	if c.taken != nil && len(p) > 0 {
		o := *c.taken
		c.taken = nil
		if o.err != nil {
			return 0, o.err
		}
		p[0] = o.b
		return 1, nil
	}
	if err := c.arm(); err != nil {
		return 0, err
	}
	n, err := c.nc.Read(p)
	return n, c.why(err)
}

// why says what a deadline meant.
func (c *conn) why(err error) error {
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return cluster.ErrStopped
	}
	return engine.ErrTimeout
}

func (c *conn) take(o octet) { c.ahead, c.taken = nil, &o }

// Write implements io.Writer.
func (c *conn) Write(p []byte) (int, error) {
	if c.deflated != nil {
		return c.deflated.write(p, c.writeRaw)
	}
	return c.writeRaw(p)
}

func (c *conn) writeRaw(p []byte) (int, error) {
	if err := c.raw.SetWriteDeadline(until(time.Now(), c.srv.c.Limits.Write)); err != nil {
		return 0, err
	}
	n, err := c.nc.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = engine.ErrTimeout
	}
	return n, err
}

// Wait implements engine.Conn.
func (c *conn) Wait(ctx context.Context, changed <-chan struct{}) (bool, error) {
	if c.deflated != nil {
		return c.deflated.wait(ctx, c, changed)
	}
	return c.waitRaw(ctx, changed)
}

// waitRaw is Wait for what comes, compressed or not. It reads one octet in a goroutine of its own, which goes on
// over several calls until it has one; finish waits for it.
func (c *conn) waitRaw(ctx context.Context, changed <-chan struct{}) (bool, error) {
	if c.taken != nil {
		return true, nil
	}
	if c.ahead == nil {
		if err := c.arm(); err != nil {
			return false, err
		}
		c.ahead = make(chan octet, 1)
		go func(out chan<- octet, nc net.Conn) {
			var b [1]byte
			n, err := nc.Read(b[:])
			if n == 1 {
				err = nil
			}
			out <- octet{b[0], err}
		}(c.ahead, c.nc)
	}
	select {
	case o := <-c.ahead:
		o.err = c.why(o.err)
		c.take(o)
		return true, nil
	case <-changed:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// drain has the session end as soon as it is between two commands.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if !c.within {
		_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // an error means that it is closed
	}
}

// cut ends the connection at once.
func (c *conn) cut() { _ = c.raw.Close() } // an error means that it is closed

// finish closes the connection and waits for what reads it.
func (c *conn) finish() {
	if t, ok := c.nc.(*tls.Conn); ok {
		_ = t.Close() // the peer may be gone
	}
	_ = c.raw.Close() // it may be closed
	if c.ahead != nil {
		<-c.ahead
	}
}

func (c *conn) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}
