package smtpd

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

// input waits for the client. Replies go out before that, so those to pipelined commands share a
// packet (RFC 2920).
type input struct{ c *conn }

func (in input) Read(p []byte) (int, error) {
	c := in.c
	if err := c.w.Flush(); err != nil {
		return 0, err
	}
	deadline := time.Now().Add(c.wait)
	if !c.until.IsZero() && c.until.Before(deadline) {
		deadline = c.until
	}
	c.mu.Lock()
	if c.draining && c.idle {
		c.mu.Unlock()
		return 0, errDraining
	}
	nc := c.nc
	err := nc.SetReadDeadline(deadline)
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := nc.Read(p)
	if n == 0 && isTimeout(err) && c.isIdleDrain() {
		return 0, errDraining
	}
	return n, err
}

type output struct{ c *conn }

func (out output) Write(p []byte) (int, error) {
	nc := out.c.nc // written by this goroutine only
	if err := nc.SetWriteDeadline(time.Now().Add(out.c.srv.c.Limits.Write)); err != nil {
		return 0, err
	}
	return nc.Write(p)
}

func (c *conn) isIdleDrain() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle && c.draining
}

func (c *conn) setIdle(idle bool) {
	c.mu.Lock()
	c.idle = idle
	c.mu.Unlock()
}

// drain asks the connection to end after the message it is at.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if c.idle {
		c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes Read
	}
}

// cut ends the connection at once.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.nc.(*tls.Conn); ok {
		t.NetConn().Close() // without waiting for the client to take a close notification
		return
	}
	c.nc.Close()
}

// turnAway refuses the connection without reading from it. It does not wait: what a fresh socket
// buffers takes a reply.
func (c *conn) turnAway(r *mta.Reply) {
	if c.kind != Submissions {
		c.nc.SetWriteDeadline(time.Now().Add(time.Second))
		c.nc.Write(r.AppendTo(nil))
	}
	c.nc.Close()
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
