package smtpd

import (
	"errors"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

// Watcher is a Session that wants to know whether clients wait for their turn (RFC 5321, section 4.3.1; RFC 2920, section 3.1).
type Watcher interface {
	// Patience is how long the client waits for our greeting, so that it can show that it does; below 0 it is not listened to.
	Patience() time.Duration
	// Early hears that it did not wait: what says what it did. A reply ends the connection.
	Early(what string) *mta.Reply
}

// listen lets the client wait for the greeting, and hears whether it does. An error ends the connection.
func (c *conn) listen() error {
	w, ok := c.session.(Watcher)
	if !ok || c.kind != MX {
		return nil
	}
	d := w.Patience()
	if d < 0 {
		return nil
	}
	c.setIdle(true)
	c.wait, c.until = max(d, time.Millisecond), time.Time{}
	_, err := c.r.Peek(1)
	c.setIdle(false)
	switch {
	case err == nil:
		return c.early(w, "spoke before the greeting")
	case isTimeout(err) && !errors.Is(err, errDraining):
		return nil // bufio forgets the error
	}
	return err
}

// early tells of a client that did not wait. An error ends the connection.
func (c *conn) early(w Watcher, what string) error {
	r := w.Early(what)
	if r == nil {
		return nil
	}
	c.srv.c.Metrics.Refused(c.kind, r)
	c.log.Info("connection refused", "reply", r.Error())
	c.reply(r)
	return errHangUp
}

// hasty tells of a client that sent commands behind its first greeting, before it was offered to (RFC 2920). An error ends the
// connection.
func (c *conn) hasty() error {
	if w, ok := c.session.(Watcher); ok && c.kind == MX && !c.secure && c.helo == "" && c.r.Buffered() > 0 && w.Patience() >= 0 {
		return c.early(w, "sent commands before it was told that it may (PIPELINING)")
	}
	return nil
}
