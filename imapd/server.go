package imapd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// Server serves any number of listeners. Start it with Serve, end it with Shutdown.
type Server struct {
	c      Config
	engine *engine.Engine
	others engine.Others
	ctx    context.Context // of all connections; ends when a Shutdown runs out of time
	cancel context.CancelFunc

	wg sync.WaitGroup // connections and Serve calls

	mu         sync.Mutex // guards what follows
	draining   bool
	listeners  map[net.Listener]struct{}
	conns      map[*conn]struct{}
	perPeer    map[netip.Prefix]int
	perAccount map[index.AccountID]int
}

// New returns a Server over c.
func New(c Config) *Server {
	c.defaults()
	c.TLS = login.UserTLS(c.TLS, c.Authorities)
	s := &Server{
		c:          c,
		others:     NewOthers(c.Sharing, c.Shared),
		listeners:  map[net.Listener]struct{}{},
		conns:      map[*conn]struct{}{},
		perPeer:    map[netip.Prefix]int{},
		perAccount: map[index.AccountID]int{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.engine = engine.New(engine.Config{
		Version: c.Version, MaxMessage: c.MaxMessage, Limits: wire.DefaultLimits(), Now: c.Clock, Events: events{s}, Site: c.Site,
		MessageLimit: max(c.Limits.Messages, 0), SaveLimit: max(c.Limits.Saves, 0), Hide: c.Hide,
	})
	return s
}

// Serve accepts connections of l until Shutdown closes it, and returns nil then. The connections may
// outlive it. The listener is plain also for IMAPS: TLS is done here.
func (s *Server) Serve(l net.Listener, kind Kind) error {
	if kind == IMAPS && s.c.TLS == nil {
		_ = l.Close() // it was never used
		return fmt.Errorf("serve %s on %s: TLS: %w", kind, l.Addr(), errNotConfigured)
	}
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		return l.Close()
	}
	s.listeners[l] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()

	for pause := time.Duration(0); ; {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.start(nc, kind)
		case s.isDraining():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept %s connections on %s: %w", kind, l.Addr(), err)
		default:
			// Out of file descriptors, most likely. What is open goes on.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.c.Logger.Warn("cannot accept a connection", "kind", kind, "error", err, "retry_in", pause)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
		}
	}
}

// start serves nc in a goroutine of its own, unless there are too many.
func (s *Server) start(nc net.Conn, kind Kind) {
	c := s.newConn(nc, kind)
	if refusal := s.enlist(c, true); refusal != "" {
		s.turnAway(c, refusal)
		return
	}
	go func() {
		defer s.dismiss(c)
		if kind == IMAPS {
			if err := c.handshake(s.ctx); err != nil {
				s.c.Logger.Debug("IMAP connection without TLS", "remote", c.remote, "error", err)
				return
			}
		}
		s.run(c, nil)
	}()
}

// turnAway refuses a connection before its first command. Who would have TLS first is closed without a word: a
// handshake is dearer than what the limit keeps away.
func (s *Server) turnAway(c *conn, refusal string) {
	s.c.Metrics.Refused(c.kind)
	s.c.Logger.Info("IMAP connection refused", "kind", c.kind, "remote", c.remote, "reason", refusal)
	if c.kind == IMAP {
		_ = c.raw.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.raw.Write([]byte("* BYE " + refusal + "\r\n")) // it is closed in any case
	}
	_ = c.raw.Close() // refused in any case
}

// ServeProxied runs the session of a client that has logged in on another node, which pipes the
// connection here; see Config.Proxy. It returns when the connection ends.
func (s *Server) ServeProxied(nc net.Conn, who login.Identity) {
	c := s.newConn(nc, IMAPS)
	c.owned, c.loggedIn = true, true
	if s.enlist(c, false) != "" {
		_ = nc.Close() // shutting down
		return
	}
	defer s.dismiss(c)
	id := engine.Identity(who)
	s.run(c, &id)
}

func (s *Server) newConn(nc net.Conn, kind Kind) *conn {
	c := &conn{srv: s, kind: kind, raw: nc, nc: nc, since: time.Now()}
	c.remote, c.peer = login.PeerOf(nc)
	return c
}

// enlist counts a connection in. Where the server drains or, if bounded, there are too many, it does not and says
// what a BYE is to tell (RFC 5530, section 3).
func (s *Server) enlist(c *conn, bounded bool) (refusal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bounded {
		c.peer = netip.Prefix{}
	}
	l := &s.c.Limits
	switch {
	case s.draining:
		return "[UNAVAILABLE] server is shutting down"
	case bounded && exceeds(len(s.conns)+1, l.Connections):
		return "[UNAVAILABLE] too many connections, try again later"
	case bounded && c.peer.IsValid() && exceeds(s.perPeer[c.peer]+1, l.ConnectionsPerAddress):
		return "[LIMIT] too many connections from your address"
	}
	s.conns[c] = struct{}{}
	s.perPeer[c.peer]++
	s.wg.Add(1)
	s.c.Metrics.Connections(c.kind, 1)
	return ""
}

func exceeds(n, limit int) bool { return limit >= 0 && n > limit }

// dismiss ends a connection and counts it out.
func (s *Server) dismiss(c *conn) {
	s.release(c) // before the client sees the end: it may come again at once
	c.finish()
	s.mu.Lock()
	delete(s.conns, c)
	if s.perPeer[c.peer]--; s.perPeer[c.peer] <= 0 {
		delete(s.perPeer, c.peer)
	}
	s.mu.Unlock()
	s.c.Metrics.Connections(c.kind, -1)
	s.wg.Done()
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// Shutdown ends the server: it closes the listeners, says BYE to clients as soon as they are between
// two commands, and waits for them. When ctx ends before that, they are cut, and its error is returned.
// Nothing of the server runs afterwards.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	for l := range s.listeners {
		_ = l.Close() // Serve sees it
	}
	for c := range s.conns {
		c.drain()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		defer close(done)
		s.wg.Wait()
	}()
	defer s.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	left := len(s.conns)
	for c := range s.conns {
		c.cut()
	}
	s.mu.Unlock()
	<-done
	return fmt.Errorf("wait for %d IMAP connections: %w", left, ctx.Err())
}
