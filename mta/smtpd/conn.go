package smtpd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/wire"
)

// conn is one connection; all but what mu guards belongs to its goroutine.
type conn struct {
	srv    *Server
	kind   Kind
	remote netip.Addr   // of the client: what a proxy says it is, else direct
	peer   netip.Prefix // of remote; what is counted under srv.mu
	direct netip.Addr   // who is at the other end
	log    *slog.Logger

	whence, whither netip.AddrPort // of the client, and where it connected to; invalid on a socket without addresses

	r *bufio.Reader // over input
	w *bufio.Writer // over the connection; flushed before each wait for the client

	helo     string
	extended bool            // EHLO or LHLO
	secure   bool            // inside TLS
	account  index.AccountID // that has logged in, and that the connection is counted for; 0 before AUTH
	login    string          // address of account; empty before AUTH
	bounds   Bounds          // of the last EHLO or MAIL
	mail     *transaction
	session  Session // of Config.Checks; nil without
	proxied  bool    // a header of the PROXY protocol comes first

	badCommands, badRecipients, authFailures int

	wait  time.Duration // for the client's next octets
	until time.Time     // not beyond, unless zero

	mu       sync.Mutex // guards what follows
	nc       net.Conn
	idle     bool // waits for a command, between two messages
	draining bool
}

var (
	errDraining = errors.New("shutting down")
	errHangUp   = errors.New("hang up") // a reply was given and the connection is to end
)

func newConn(s *Server, nc net.Conn, kind Kind) *conn {
	c := &conn{srv: s, nc: nc, kind: kind, wait: s.c.Limits.Command, bounds: s.c.Directory.Bounds()}
	c.remote, c.peer = login.PeerOf(nc)
	c.direct = c.remote
	c.whence, _ = netip.ParseAddrPort(nc.RemoteAddr().String())
	c.whither, _ = netip.ParseAddrPort(nc.LocalAddr().String())
	if c.proxied = isWithin(c.direct, s.c.Proxies); c.proxied {
		c.peer = netip.Prefix{} // it is counted once it is known whose it is
	}
	c.log = s.c.Logger.With("kind", kind, "remote", c.remote)
	c.attach(nc)
	return c
}

// attach makes nc the connection and forgets all that was buffered.
func (c *conn) attach(nc net.Conn) {
	c.mu.Lock()
	c.nc = nc
	c.mu.Unlock()
	c.r = bufio.NewReaderSize(input{c}, 8<<10)
	c.w = bufio.NewWriterSize(output{c}, 2<<10)
}

// serve speaks with the client until one of both ends it.
func (c *conn) serve(ctx context.Context) {
	defer c.close()
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in an SMTP session", "panic", p, "stack", string(debug.Stack()))
			c.reply(mta.Replyf(421, mta.TempSystem, "Internal error"))
			c.w.Flush()
		}
	}()
	if c.proxied {
		if err := c.readProxy(); err != nil {
			c.log.Warn("a proxy does not say whose a connection is", "error", err)
			return
		}
		if r := c.srv.move(c); r != nil {
			c.turnAway(r)
			return
		}
	}
	if c.kind == Submissions {
		if err := c.handshake(ctx); err != nil {
			c.log.Info("TLS handshake failed", "error", err)
			return
		}
	}
	if !c.begin(ctx) {
		return
	}
	if err := c.listen(); err != nil {
		c.farewell(err)
		return
	}
	c.greet()
	c.farewell(c.loop(ctx))
}

// loop executes commands until an error ends the connection.
func (c *conn) loop(ctx context.Context) error {
	for {
		line, err := c.readLine(wire.MaxCommandLine)
		if errors.Is(err, wire.ErrLineTooLong) {
			c.refuse(mta.Replyf(500, mta.BadSyntax, "Line too long"))
		} else if err != nil {
			return err
		} else if err := c.command(ctx, line); err != nil {
			return err
		}
		if exceeds(c.badCommands, c.srv.c.Limits.Errors) || exceeds(c.badRecipients, c.srv.c.Limits.BadRecipients) {
			c.reply(mta.Replyf(421, mta.TempSecurity, "Too many errors"))
			return errHangUp
		}
	}
}

// readLine waits for the next line of the client.
func (c *conn) readLine(max int) (string, error) {
	idle := c.mail == nil
	c.setIdle(idle)
	if idle && c.isIdleDrain() {
		return "", errDraining
	}
	c.wait, c.until = c.srv.c.Limits.Command, time.Time{}
	line, err := wire.ReadLine(c.r, max)
	c.setIdle(false)
	return line, err
}

// farewell gives the last reply that err asks for.
func (c *conn) farewell(err error) {
	switch {
	case errors.Is(err, errDraining):
		c.reply(mta.Replyf(421, mta.TempNotAccepting, "%s is going down", c.srv.c.Hostname))
	case isTimeout(err):
		c.reply(mta.Replyf(421, mta.TempTimeout, "Timeout, closing the connection"))
	case errors.Is(err, wire.ErrNoLineEnd):
		c.reply(mta.Replyf(500, mta.BadSyntax, "Line too long, closing the connection"))
	case errors.Is(err, errHangUp):
	default: // the client is gone
		c.log.Debug("connection ended", "error", err)
		return
	}
	if c.w.Flush() == nil {
		c.linger()
	}
}

// linger reads what the client may still be sending, for a moment: closing a socket with unread data
// would take our last reply away from the client.
func (c *conn) linger() {
	c.mu.Lock()
	nc := c.nc
	c.mu.Unlock()
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	nc.SetReadDeadline(time.Now().Add(time.Second))
	io.CopyN(io.Discard, nc, 1<<20)
}

func (c *conn) close() {
	c.reset()
	if c.session != nil {
		c.session.End()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nc.Close()
}

// reset ends the mail transaction, if there is one.
func (c *conn) reset() {
	if c.mail != nil {
		c.mail.discard()
		c.mail = nil
		if c.session != nil {
			c.session.Reset()
		}
	}
}

// reply queues a reply; it goes out when the client is waited for.
func (c *conn) reply(r *mta.Reply) {
	// An error stays in the writer and shows at the next flush.
	c.w.Write(r.AppendTo(c.w.AvailableBuffer()))
}

// refuse replies to a command that was wrong, and counts it.
func (c *conn) refuse(r *mta.Reply) {
	c.badCommands++
	c.srv.c.Metrics.Refused(c.kind, r)
	c.reply(r)
}
