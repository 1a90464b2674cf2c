// Package links keeps a node's links to its peers, one to each, for a kind of stream that all Raft groups
// share: a link begins when something is first sent over it, and is forgotten when it fails, so that the next
// begins another. A peer whose build does not know the kind is not asked again for a while. What goes over a
// link, and over the connections that peers open, is the caller's.
package links

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// ErrOldPeer says that the peer does not know this kind of stream: its build is older, and takes what it
// carries on the streams of the groups.
var ErrOldPeer = errors.New("the peer's build is older and takes no such stream")

// Link is the caller's end of a connection to one peer. It fails once and for all.
type Link interface {
	comparable
	// Run opens the connection (Set.Open), and returns when the link has failed.
	Run()
	// Fail ends the link. It may be called more than once.
	Fail(err error)
}

// Config is what a Set works with. All is required.
type Config struct {
	// Dial opens a stream to a peer. It is called by one goroutine for each peer.
	Dial func(ctx context.Context, peer cluster.NodeID) (net.Conn, error)
	// Version is the lowest that a peer may answer a new stream with, in one byte, before anything else.
	Version byte
	// What is carried, in the plural, for errors.
	What string
	// Timeout bounds the setup of a link.
	Timeout time.Duration
	// OldPeer is how long a peer with an older build is not asked again.
	OldPeer time.Duration
}

// Set holds the links of a node that have not failed. It is safe for concurrent use.
type Set[L Link] struct {
	cfg  Config
	make func(peer cluster.NodeID) L
	ctx  context.Context // of links, which outlive the call that began them
	end  context.CancelFunc

	mu     sync.Mutex // guards what follows
	links  map[cluster.NodeID]L
	old    map[cluster.NodeID]time.Time // peers with an older build, and until when that is believed
	closed bool

	work sync.WaitGroup // of Run
}

// New makes a Set whose links are made by newLink. They end with ctx, or with Close.
func New[L Link](ctx context.Context, cfg Config, newLink func(peer cluster.NodeID) L) *Set[L] {
	s := &Set[L]{cfg: cfg, make: newLink, links: map[cluster.NodeID]L{}, old: map[cluster.NodeID]time.Time{}}
	s.ctx, s.end = context.WithCancel(ctx)
	return s
}

// Close fails all links and waits for them. No other begins.
func (s *Set[L]) Close() {
	s.end()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, l := range s.All() {
		l.Fail(cluster.ErrStopped)
	}
	s.work.Wait()
}

// To returns the link to a peer, and begins one if there is none. Errors: ErrOldPeer, cluster.ErrStopped.
func (s *Set[L]) To(peer cluster.NodeID) (l L, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return l, cluster.ErrStopped
	}
	if until, ok := s.old[peer]; ok {
		if time.Now().Before(until) {
			return l, ErrOldPeer
		}
		delete(s.old, peer)
	}
	l, ok := s.links[peer]
	if !ok {
		l = s.make(peer)
		s.links[peer] = l
		s.work.Go(l.Run)
	}
	return l, nil
}

// Lookup returns the link to a peer, ok false if there is none.
func (s *Set[L]) Lookup(peer cluster.NodeID) (l L, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok = s.links[peer]
	return l, ok
}

// All returns the links of this moment.
func (s *Set[L]) All() []L {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]L, 0, len(s.links))
	for _, l := range s.links {
		all = append(all, l)
	}
	return all
}

// Drop forgets a link that has failed.
func (s *Set[L]) Drop(peer cluster.NodeID, l L, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.links[peer] == l {
		delete(s.links, peer)
	}
	if errors.Is(err, ErrOldPeer) {
		s.old[peer] = time.Now().Add(s.cfg.OldPeer)
	}
}

// Open dials a peer and waits for its version.
func (s *Set[L]) Open(peer cluster.NodeID) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Timeout)
	defer cancel()
	conn, err := s.cfg.Dial(ctx, peer)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(s.ctx, func() { _ = conn.Close() })()
	var version [1]byte
	_ = conn.SetReadDeadline(time.Now().Add(s.cfg.Timeout))
	_, err = io.ReadFull(conn, version[:])
	_ = conn.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("open %s to node %s: %w", s.cfg.What, peer, err)
	case err != nil || version[0] < s.cfg.Version:
		// A build that does not know the kind of the stream closes it. A peer that dies at this moment is
		// taken for one, which costs no more than the old way for a minute.
		err = fmt.Errorf("open %s to node %s: %w", s.cfg.What, peer, ErrOldPeer)
	default:
		return conn, nil
	}
	_ = conn.Close()
	return nil, err
}
