package imapd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// run runs the session of a connection; who is set where the login was done elsewhere.
func (s *Server) run(c *conn, who *engine.Identity) {
	peer := engine.Peer{
		Conn: c, Login: gate{c}, Authenticated: who, Others: s.others,
		Open: func(ctx context.Context, who engine.Identity) (engine.Account, error) { return s.open(ctx, c, who) },
	}
	if who == nil {
		peer.Leave = func() { s.leave(c) }
	}
	session := s.engine.NewSession(peer)
	// A message or command that breaks an invariant must not take the other sessions along.
	defer func() {
		if broken := recover(); broken != nil {
			s.c.Logger.Error("IMAP session broke", "remote", c.remote, "panic", broken, "stack", string(debug.Stack()))
		}
	}()
	err := session.Run(s.ctx)
	if errors.Is(err, engine.ErrElsewhere) && c.upstream != nil {
		err = s.pipe(c, session.Unread())
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		s.c.Logger.Debug("IMAP session ended", "remote", c.remote, "error", err)
	}
}

// open opens the account of one who has logged in, or connects to a node that can.
func (s *Server) open(ctx context.Context, c *conn, who engine.Identity) (engine.Account, error) {
	if !s.claim(c, who.Account) {
		return nil, engine.ErrTooMany
	}
	s.freshen(ctx, who)
	mail := s.c.Mail(who.Account)
	_, err := mail.Mailbox(ctx, index.Inbox)
	switch {
	case errors.Is(err, cluster.ErrNoReplica) && s.c.Proxy != nil && !c.owned:
		if c.upstream, err = s.c.Proxy(ctx, login.Identity(who)); err != nil {
			s.release(c)
			s.c.Logger.Warn("no node serves the account's IMAP", "account", who.Address, "error", err)
			return nil, fmt.Errorf("connect to a node with the account: %w: %w", cluster.ErrUnavailable, err)
		}
		err = engine.ErrElsewhere
	case errors.Is(err, cluster.ErrNoReplica):
		s.release(c)
		return nil, cluster.ErrUnavailable // ErrNoReplica would end the connection
	default:
		err = nil // what is wrong with INBOX shows when it is used
	}
	c.mu.Lock()
	c.loggedIn = true
	c.mu.Unlock()
	return mail, err
}

// freshPatience is how long a login waits for the replica to catch up. Without a majority it never does,
// and mail is read all the same.
const freshPatience = time.Second

// freshen has the replica catch up with what the client may have seen on another node.
func (s *Server) freshen(ctx context.Context, who engine.Identity) {
	if s.c.Fresh == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, freshPatience)
	defer cancel()
	if err := s.c.Fresh(ctx, who.Account); err != nil && !errors.Is(err, cluster.ErrNoReplica) {
		s.c.Logger.Info("a session may see an older state than there is", "account", who.Address, "error", err)
	}
}

// claim counts a connection of an account, unless there are too many.
func (s *Server) claim(c *conn, a index.AccountID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if exceeds(s.perAccount[a]+1, s.c.Limits.ConnectionsPerAccount) {
		return false
	}
	s.perAccount[a]++
	c.account = a
	return true
}

// release undoes claim.
func (s *Server) release(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.account == 0 {
		return
	}
	if s.perAccount[c.account]--; s.perAccount[c.account] <= 0 {
		delete(s.perAccount, c.account)
	}
	c.account = 0
}

// leave has a connection be as before its login, which it has to do again in time.
func (s *Server) leave(c *conn) {
	s.release(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loggedIn, c.since = false, time.Now()
}

// events gives what sessions do to logs and metrics.
type events struct{ s *Server }

var _ engine.Events = events{}

// Command implements engine.Events.
func (e events) Command(name string, kind wire.StatusKind) { e.s.c.Metrics.Command(name, string(kind)) }

// LoggedIn implements engine.Events.
func (e events) LoggedIn(who engine.Identity, user string, err error) {
	e.s.c.Metrics.Login(err == nil)
	if err != nil {
		e.s.c.Logger.Info("IMAP login failed", "user", user, "error", err)
		return
	}
	e.s.c.Logger.Debug("IMAP login", "account", who.Address)
}

// Unexpected implements engine.Events.
func (e events) Unexpected(name string, err error) {
	e.s.c.Logger.Error("IMAP command failed unexpectedly", "command", name, "error", err)
}
