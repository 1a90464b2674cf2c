package managesieve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/mta/managesieve/wire"
)

// errEnd ends a connection whose client was told.
var errEnd = errors.New("the connection ends")

// conn is a connection of a client. It is for its goroutine, but for drain and cut.
type conn struct {
	srv    *Server
	remote netip.Addr
	peer   netip.Prefix
	r      *wire.Reader
	who    *login.Identity // nil before the login
	secure bool
	since  time.Time

	bad, failures int

	mu       sync.Mutex // guards what follows; nc is written by the connection's goroutine only
	nc       net.Conn
	idle     bool // between two commands
	draining bool
}

// serve runs the session.
func (c *conn) serve(ctx context.Context) {
	c.since = time.Now()
	c.r = wire.NewReader(input{c}, c.srv.c.MaxScript)
	if err := c.write(c.capabilities(nil)); err != nil {
		return
	}
	for {
		c.setIdle(true)
		cmd, err := c.r.Command()
		c.setIdle(false)
		if err == nil {
			err = c.command(ctx, cmd)
		} else {
			err = c.unreadable(err)
		}
		if err != nil {
			if !errors.Is(err, errEnd) {
				c.srv.c.Logger.Debug("ManageSieve connection ended", "remote", c.remote, "error", err)
			}
			return
		}
	}
}

// unreadable answers what is no command.
func (c *conn) unreadable(err error) error {
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		return c.no("QUOTA/MAXSIZE", fmt.Sprintf("A script has at most %d octets", c.srv.c.MaxScript))
	case errors.Is(err, wire.ErrSyntax):
		return c.wrong(err.Error())
	case errors.Is(err, wire.ErrBroken):
		return c.bye("", err.Error())
	case c.isDraining():
		return c.bye("TRYLATER", "The server is shutting down")
	}
	return err
}

// wrong answers a command that is used wrongly, and ends the connection after too many.
func (c *conn) wrong(text string) error {
	if c.bad++; exceeds(c.bad, c.srv.c.Limits.Errors) {
		return c.bye("", "Too many errors")
	}
	return c.no("", text)
}

func (c *conn) ok(code, text string) error {
	return c.write(wire.AppendResponse(nil, "OK", code, text))
}
func (c *conn) no(code, text string) error {
	return c.write(wire.AppendResponse(nil, "NO", code, text))
}

func (c *conn) bye(code, text string) error {
	_ = c.write(wire.AppendResponse(nil, "BYE", code, text)) // it ends in any case
	return errEnd
}

func (c *conn) write(b []byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.srv.c.Limits.Write)); err != nil {
		return err
	}
	_, err := c.nc.Write(b)
	return err
}

// capabilities writes what the server can do, and OK (RFC 5804, section 1.7).
func (c *conn) capabilities(b []byte) []byte {
	line := func(name string, value ...string) {
		b = wire.AppendString(b, name)
		for _, v := range value {
			b = wire.AppendString(append(b, ' '), v)
		}
		b = append(b, "\r\n"...)
	}
	line("IMPLEMENTATION", "Rookery "+c.srv.c.Version)
	line("SASL", strings.Join(c.mechanisms(), " "))
	line("SIEVE", strings.Join(c.srv.c.Extensions, " "))
	if len(c.srv.c.Notify) > 0 {
		line("NOTIFY", strings.Join(c.srv.c.Notify, " "))
	}
	if c.srv.c.TLS != nil && !c.secure {
		line("STARTTLS")
	}
	line("MAXREDIRECTS", "4")
	line("UNAUTHENTICATE")
	if c.who != nil {
		line("OWNER", c.who.Address)
	}
	line("VERSION", "1.0")
	return wire.AppendResponse(b, "OK", "", "")
}

// mechanisms are those that AUTHENTICATE takes now: inside of TLS only, where there is TLS.
func (c *conn) mechanisms() []string {
	if c.who != nil || !c.secure && c.srv.c.TLS != nil {
		return nil
	}
	return c.srv.c.Auth.Mechanisms(c.loginConn())
}

func (c *conn) loginConn() login.Conn {
	return login.Conn{Remote: c.remote, Done: c.srv.ctx.Done()}.WithTLS(c.nc)
}

// startTLS answers STARTTLS (RFC 5804, section 2.2): nothing that came before the handshake counts behind it.
func (c *conn) startTLS(ctx context.Context) error {
	switch {
	case c.srv.c.TLS == nil || c.secure:
		return c.wrong("TLS is not offered")
	case c.who != nil:
		return c.wrong("Not after AUTHENTICATE")
	case c.r.Buffered() > 0:
		return c.bye("", "Nothing may follow STARTTLS before the handshake")
	}
	if err := c.ok("", "Begin TLS"); err != nil {
		return err
	}
	t := tls.Server(c.nc, c.srv.c.TLS)
	if err := c.nc.SetDeadline(time.Now().Add(c.srv.c.Limits.Login)); err != nil {
		return err
	}
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.mu.Lock()
	c.nc, c.secure = t, true
	c.mu.Unlock()
	c.r = wire.NewReader(input{c}, c.srv.c.MaxScript)
	return c.write(c.capabilities(nil))
}

// input waits for the client.
type input struct{ c *conn }

func (in input) Read(p []byte) (int, error) {
	c := in.c
	deadline := time.Now().Add(c.srv.c.Limits.Idle)
	if c.who == nil {
		deadline = c.since.Add(c.srv.c.Limits.Login)
	}
	c.mu.Lock()
	if c.draining && c.idle {
		c.mu.Unlock()
		return 0, errEnd
	}
	nc := c.nc
	err := nc.SetReadDeadline(deadline)
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return nc.Read(p)
}

func (c *conn) setIdle(idle bool) {
	c.mu.Lock()
	c.idle = idle
	c.mu.Unlock()
}

func (c *conn) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// drain asks the connection to end after the command it is at.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if c.idle {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes Read
	}
}

// cut ends the connection at once.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.nc.(*tls.Conn); ok {
		_ = t.NetConn().Close() // without waiting for the client to take a close notification
		return
	}
	_ = c.nc.Close() // it ends in any case
}
