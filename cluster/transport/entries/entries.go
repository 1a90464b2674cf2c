// Package entries carries the appends of all Raft groups from one node to another over one connection:
// entries, and the news of commits that a leader sends without any. Several groups' appends, and several
// answers, go in one write. It never answers for a group. Heartbeats have a link of their own
// (cluster/transport/heartbeat), so that they do not wait behind entries; votes, snapshots and large
// appends go over hashicorp/raft's connections, so that nothing small waits behind them.
//
// # Order
//
// A link keeps the appends of a group in their order: they are written in the order in which they were
// added, and at the peer one after the other goes through its Raft, as on a connection of its own. Groups
// do not wait for each other: one that is slow to answer has a queue.
//
// A link fails once and for all, and everything in flight with it. Raft then begins again from what the follower
// says that it has. An append of a link that failed may still be answered at the peer, as with a
// connection that breaks: Raft allows for late and repeated messages.
package entries

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/transport/links"
)

// ErrOldPeer says that the peer takes appends on the streams of their groups alone.
var ErrOldPeer = links.ErrOldPeer

// ErrNotHere says that the group has no replica at the peer that could answer.
var ErrNotHere = errors.New("the peer has no such group")

// ErrLate says that no answer came in time.
var ErrLate = errors.New("no answer to an append")

// Config is what an Exchange works with.
type Config struct {
	// Dial opens a stream to a peer's Serve. It is called by one goroutine for each peer.
	Dial func(ctx context.Context, peer cluster.NodeID) (net.Conn, error)
	// Timeout bounds the setup of a link, a write and the wait for an answer; zero is 5 s.
	Timeout time.Duration
	// OldPeer is how long a peer with an older build is not asked again; zero is a minute.
	OldPeer time.Duration
	Logger  *slog.Logger
}

// Exchange is a node's end of the links to and from all its peers. It is safe for concurrent use.
type Exchange struct {
	cfg   Config
	links *links.Set[*link]

	mu    sync.Mutex
	ports map[cluster.GroupID]*Port // guarded by mu
}

// New makes an Exchange. Its links end with ctx, or with Close.
func New(ctx context.Context, cfg Config) *Exchange {
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.OldPeer == 0 {
		cfg.OldPeer = time.Minute
	}
	x := &Exchange{cfg: cfg, ports: map[cluster.GroupID]*Port{}}
	x.links = links.New(ctx, links.Config{Dial: cfg.Dial, Version: Version, What: "entries", Timeout: cfg.Timeout, OldPeer: cfg.OldPeer},
		func(peer cluster.NodeID) *link { return newLink(x, peer) })
	return x
}

// Close ends all links and waits for them. Connections in Serve are the caller's to close.
func (x *Exchange) Close() { x.links.Close() }

// Linked reports whether there is a link to a peer that works.
func (x *Exchange) Linked(peer cluster.NodeID) bool {
	l, ok := x.links.Lookup(peer)
	if !ok {
		return false
	}
	select {
	case <-l.ready:
		return l.failure() == nil
	default:
		return false
	}
}

// Port is the side of one group.
type Port struct {
	x        *Exchange
	group    cluster.GroupID
	consumer chan raft.RPC
	closed   chan struct{}
	once     sync.Once
	work     sync.WaitGroup
}

// Open gives a group its port. A group has one at a time; a later one takes the place of an earlier. What
// others takes is given to Consumer too.
func (x *Exchange) Open(group cluster.GroupID, others <-chan raft.RPC) *Port {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := &Port{x: x, group: group, consumer: make(chan raft.RPC), closed: make(chan struct{})}
	x.ports[group] = p
	p.work.Go(func() { p.forward(others) })
	return p
}

// Consumer gives what comes in for the group, in the manner of raft.Transport.
func (p *Port) Consumer() <-chan raft.RPC { return p.consumer }

func (p *Port) forward(others <-chan raft.RPC) {
	for {
		select {
		case rpc := <-others:
			select {
			case p.consumer <- rpc:
			case <-p.closed:
				return
			}
		case <-p.closed:
			return
		}
	}
}

// Close refuses what comes in, and ends the waiting of Send and of pipelines. It may be called more than once.
func (p *Port) Close() {
	p.once.Do(func() {
		p.x.mu.Lock()
		if p.x.ports[p.group] == p {
			delete(p.x.ports, p.group)
		}
		p.x.mu.Unlock()
		close(p.closed)
	})
	p.work.Wait()
}

// Send sends an append of at most Bulk to a peer and waits for its answer. Errors: ErrOldPeer, ErrNotHere, ErrLate,
// cluster.ErrStopped, an error of the peer's Raft, or one of the connection.
func (p *Port) Send(peer cluster.NodeID, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	l, err := p.x.links.To(peer)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	c := &call{group: p.group, args: args, resp: new(raft.AppendEntriesResponse), at: time.Now(),
		settle: func(err error) { done <- err }}
	timer := time.NewTimer(p.x.cfg.Timeout)
	defer timer.Stop()
	select {
	case <-l.ready:
		l.add(c)
	case <-p.closed:
		return cluster.ErrStopped
	}
	select {
	case err = <-done:
	case <-p.closed:
		return cluster.ErrStopped
	case <-timer.C:
		l.suspect(c.at)
		return fmt.Errorf("node %s, %v: %w", peer, p.group, ErrLate)
	}
	if err == nil {
		*resp = *c.resp
	}
	return err
}
