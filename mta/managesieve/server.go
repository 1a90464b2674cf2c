package managesieve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/mta/managesieve/wire"
)

// Server serves any number of listeners. Start it with Serve, end it with Shutdown.
type Server struct {
	c      Config
	ctx    context.Context // of all connections; ends when a Shutdown runs out of time
	cancel context.CancelFunc

	wg sync.WaitGroup // connections and Serve calls

	mu        sync.Mutex // guards what follows
	draining  bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	perPeer   map[netip.Prefix]int
}

// New returns a Server over c.
func New(c Config) *Server {
	c.defaults()
	c.TLS = login.UserTLS(c.TLS, c.Authorities)
	s := &Server{c: c, listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{}, perPeer: map[netip.Prefix]int{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve accepts connections of l until Shutdown closes it, and returns nil then. The connections may outlive it.
func (s *Server) Serve(l net.Listener) error {
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
			s.start(nc)
		case s.isDraining():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept ManageSieve connections on %s: %w", l.Addr(), err)
		default: // out of file descriptors, most likely; what is open goes on
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.c.Logger.Warn("cannot accept a connection", "kind", "managesieve", "error", err, "retry_in", pause)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
		}
	}
}

// start serves nc in a goroutine of its own, unless there are too many.
func (s *Server) start(nc net.Conn) {
	c := &conn{srv: s, nc: nc}
	c.remote, c.peer = login.PeerOf(nc)
	if refusal := s.enlist(c); refusal != "" {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = nc.Write(wire.AppendResponse(nil, "BYE", "TRYLATER", refusal)) // it is closed in any case
		_ = nc.Close()
		return
	}
	go func() {
		defer s.dismiss(c)
		c.serve(s.ctx)
	}()
}

// enlist counts a connection in, or says why not.
func (s *Server) enlist(c *conn) (refusal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return "The server is shutting down"
	case exceeds(len(s.conns)+1, s.c.Limits.Connections):
		return "Too many connections, try again later"
	case c.peer.IsValid() && exceeds(s.perPeer[c.peer]+1, s.c.Limits.ConnectionsPerAddress):
		return "Too many connections from your address"
	}
	s.conns[c] = struct{}{}
	s.perPeer[c.peer]++
	s.wg.Add(1)
	return ""
}

// dismiss ends a connection and counts it out.
func (s *Server) dismiss(c *conn) {
	c.cut()
	s.mu.Lock()
	delete(s.conns, c)
	if s.perPeer[c.peer]--; s.perPeer[c.peer] <= 0 {
		delete(s.perPeer, c.peer)
	}
	s.mu.Unlock()
	s.wg.Done()
}

func exceeds(n, limit int) bool { return limit >= 0 && n > limit }

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// Shutdown ends the server: it closes the listeners, says BYE to clients as soon as they are between two commands, and waits for them.
// When ctx ends before that, they are cut, and its error is returned. Nothing of the server runs afterwards.
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
	return fmt.Errorf("wait for %d ManageSieve connections: %w", left, ctx.Err())
}
