package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
)

// Server serves any number of listeners. Start it with Serve, end it with Shutdown.
type Server struct {
	c       Config
	users   *tls.Config     // TLS of the doors of users; that of others is c.TLS
	ctx     context.Context // of all connections; ends when a Shutdown runs out of time
	cancel  context.CancelFunc
	buffers sync.Pool // of *[]byte, bufferSize each

	wg sync.WaitGroup // connections and Serve calls

	mu         sync.Mutex // guards what follows
	draining   bool
	listeners  map[net.Listener]struct{}
	conns      map[*conn]struct{}
	perPeer    map[netip.Prefix]int
	perAccount map[index.AccountID]int
}

// bufferSize is the octets of a message that are taken at a time.
const bufferSize = 32 << 10

// New returns a Server over c.
func New(c Config) *Server {
	c.defaults()
	users := login.UserTLS(c.TLS, c.Authorities)
	c.TLS = login.ServerTLS(c.TLS)
	s := &Server{
		users:      users,
		c:          c,
		listeners:  map[net.Listener]struct{}{},
		conns:      map[*conn]struct{}{},
		perPeer:    map[netip.Prefix]int{},
		perAccount: map[index.AccountID]int{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.buffers.New = func() any { b := make([]byte, bufferSize); return &b }
	return s
}

// Serve accepts connections of l until Shutdown closes it, and returns nil then. The connections may
// outlive it. The listener is plain also for Submissions: TLS is done here.
func (s *Server) Serve(l net.Listener, kind Kind) error {
	if kind == Submissions && s.c.TLS == nil || kind.submits() && s.c.Auth == nil {
		l.Close()
		return fmt.Errorf("serve %s on %s: TLS or authentication: %w", kind, l.Addr(), errNotConfigured)
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
	c := newConn(s, nc, kind)
	s.mu.Lock()
	refusal := s.admit(c)
	if refusal == nil {
		s.conns[c] = struct{}{}
		s.perPeer[c.peer]++
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if refusal != nil {
		s.c.Metrics.Refused(kind, refusal)
		s.c.Logger.Info("connection refused", "kind", kind, "remote", c.remote, "reply", refusal.Error())
		c.turnAway(refusal)
		return
	}
	s.c.Metrics.Connections(kind, 1)
	go func() {
		defer s.wg.Done()
		defer s.c.Metrics.Connections(kind, -1)
		defer s.forget(c)
		c.serve(s.ctx)
	}()
}

// admit decides on a connection under s.mu.
func (s *Server) admit(c *conn) *mta.Reply {
	switch {
	case s.draining:
		return mta.Replyf(421, mta.TempNotAccepting, "%s is going down", s.c.Hostname)
	case exceeds(len(s.conns)+1, s.c.Limits.Connections):
		return mta.Replyf(421, mta.TempNotAccepting, "Too many connections, try again later")
	case c.peer.IsValid() && exceeds(s.perPeer[c.peer]+1, s.c.Limits.ConnectionsPerAddress):
		return mta.Replyf(421, mta.TempSecurity, "Too many connections from your address")
	}
	return nil
}

// claim counts a connection of the account that has logged in on it, unless there are too many. A connection is
// counted for one account, from then on until QUIT or its end.
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

// forget counts a connection out.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.perPeer[c.peer]--; s.perPeer[c.peer] <= 0 {
		delete(s.perPeer, c.peer)
	}
	s.unclaim(c)
}

// release undoes claim.
func (s *Server) release(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unclaim(c)
}

// unclaim is release under s.mu.
func (s *Server) unclaim(c *conn) {
	if c.account == 0 {
		return
	}
	if s.perAccount[c.account]--; s.perAccount[c.account] <= 0 {
		delete(s.perAccount, c.account)
	}
	c.account = 0
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// Shutdown ends the server: it closes the listeners, answers 421 4.3.2 to connections between two
// messages, and waits for the others to finish the one they are at. When ctx ends before that, they
// are cut, and its error is returned. Nothing of the server runs afterwards.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	for l := range s.listeners {
		l.Close()
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
	return fmt.Errorf("wait for %d SMTP connections: %w", left, ctx.Err())
}
