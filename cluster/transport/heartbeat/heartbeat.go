// Package heartbeat carries the heartbeats of all Raft groups from one node to another over one
// connection, and many of them in one frame. It never answers for a group: each heartbeat reaches the
// Raft of its group at the peer, and each answer is that Raft's own. Entries, votes and snapshots are
// not its business.
//
// # Why a heartbeat may be held, and for how long
//
// hashicorp/raft sends the heartbeats of a group to a peer one after the other: it waits for the answer,
// then pauses for p, drawn from a tenth to a fifth of the heartbeat timeout. A heartbeat is held until the
// link's next tick, for at most h, so that those of other groups go in the same frame; ticks of all links are
// at the same moments, of all nodes too as far as their clocks agree. With the round trip r, two contacts are
// at most p + h + r apart:
//
//	LAN: p <= 140 ms, h = 100 ms: 240 ms + r, where the lease is 500 ms and the election timeout 700 ms at least
//	WAN: p <= 500 ms, h = 100 ms: 600 ms + r, where they are 2,000 ms and 2,500 ms
//
// Without the hold it would be 140 ms + r. A tick of 50 ms would take a twentieth of a second off the longest gap
// for twice as many frames.
//
// The pause begins with an answer, soon after a tick, so that a group of LAN could go with the next tick or the
// one after that. It goes with every second tick, at which all the others go, as long as the gap stays below what
// p + h allows (Exchange.wait): most of the time a group's contacts are 200 ms apart, and there is a frame for each.
// Where an answer was late or the pauses are longer, as those of WAN, it goes with the next tick.
// Elections do not begin later: a follower's timeout runs from the last contact, and a contact does not
// come from a leader that is gone. A failover is thus as long as it was.
//
// Leases stay true, because raft counts an answer as contact when it comes, not when the question was asked,
// and the hold is before the heartbeat is sent. The time between the follower's answer and its arrival
// grows by no more than twice grace.
//
// A read that confirms leadership asks raft for a heartbeat at once, and must not wait for a tick. The
// transport cannot tell that heartbeat from a timed one: Port.Expedite says that nothing of the group is to
// be held for a while.
package heartbeat

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/transport/links"
)

// ErrOldPeer says that the peer takes heartbeats on the streams of their groups alone.
var ErrOldPeer = links.ErrOldPeer

// ErrNotHere says that the group has no replica at the peer that could answer.
var ErrNotHere = errors.New("the peer has no such group")

// ErrLate says that no answer came in time.
var ErrLate = errors.New("no answer to a heartbeat")

// Config is what an Exchange works with.
type Config struct {
	// Dial opens a stream to a peer's Serve. It is called by one goroutine for each peer.
	Dial func(ctx context.Context, peer cluster.NodeID) (net.Conn, error)
	// Tick is what heartbeats are held for, or for every second one; zero is 100 ms.
	Tick time.Duration
	// Timeout bounds the setup of a link and the wait for an answer; zero is 2 s, after which a leader
	// has no lease any more.
	Timeout time.Duration
	// OldPeer is how long a peer with an older build is not asked again; zero is a minute.
	OldPeer time.Duration
	Logger  *slog.Logger
}

// Exchange is a node's end of the links to and from all its peers. It is safe for concurrent use.
type Exchange struct {
	cfg   Config
	links *links.Set[*link]
	ticks sync.WaitGroup // that are armed

	mu    sync.Mutex
	ports map[cluster.GroupID]*Port // guarded by mu
}

// New makes an Exchange. Its links end with ctx, or with Close.
func New(ctx context.Context, cfg Config) *Exchange {
	if cfg.Tick == 0 {
		cfg.Tick = 100 * time.Millisecond
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Second
	}
	if cfg.OldPeer == 0 {
		cfg.OldPeer = time.Minute
	}
	x := &Exchange{cfg: cfg, ports: map[cluster.GroupID]*Port{}}
	x.links = links.New(ctx, links.Config{Dial: cfg.Dial, Version: Version, What: "heartbeats", Timeout: cfg.Timeout, OldPeer: cfg.OldPeer},
		func(peer cluster.NodeID) *link { return newLink(x, peer) })
	return x
}

// Close ends all links and waits for them. Connections in Serve are the caller's to close.
func (x *Exchange) Close() {
	x.links.Close()
	x.ticks.Wait()
}

// wait is how long a heartbeat is held from now on: until the next even tick, or until the next one of all where
// that would be more than 2.4 ticks after its group's last answer, 240 ms.
func (x *Exchange) wait(now, answered time.Time) time.Duration {
	until := func(every time.Duration) time.Duration { return every - time.Duration(now.UnixNano()%int64(every)) }
	if even := until(2 * x.cfg.Tick); now.Add(even).Sub(answered) <= x.cfg.Tick*12/5 {
		return even
	}
	return until(x.cfg.Tick)
}

// Port is the side of one group.
type Port struct {
	x       *Exchange
	group   cluster.GroupID
	hurries atomic.Int32 // how many want nothing of the group held

	mu      sync.Mutex     // guards what follows
	handler func(raft.RPC) // nil until raft sets it
	closed  bool
	asked   sync.WaitGroup // handlers that run
}

// Open gives a group its port. A group has one at a time; a later one takes the place of an earlier.
func (x *Exchange) Open(group cluster.GroupID) *Port {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := &Port{x: x, group: group}
	x.ports[group] = p
	return p
}

// SetHandler sets what takes the heartbeats that come in. It answers before it returns, or not at all.
func (p *Port) SetHandler(handler func(raft.RPC)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = handler
}

// Close refuses heartbeats that come in, and waits for the handlers that run. Send still works, since
// links belong to all groups.
func (p *Port) Close() {
	p.x.mu.Lock()
	if p.x.ports[p.group] == p {
		delete(p.x.ports, p.group)
	}
	p.x.mu.Unlock()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.asked.Wait()
}

// Expedite sends what the group has waiting, and holds nothing of it until done is called.
func (p *Port) Expedite() (done func()) {
	p.hurries.Add(1)
	for _, l := range p.x.links.All() {
		l.hurry(p)
	}
	return func() { p.hurries.Add(-1) }
}

// Is reports whether an append is a heartbeat. The test is that of raft's own network transport, so
// that the peer's Raft gets outside its queue only what it would have got there.
func Is(args *raft.AppendEntriesRequest) bool {
	leader := args.Addr
	if len(leader) == 0 {
		leader = args.Leader
	}
	return args.Term != 0 && len(leader) != 0 && args.PrevLogEntry == 0 && args.PrevLogTerm == 0 &&
		len(args.Entries) == 0 && args.LeaderCommitIndex == 0
}

// Send sends a heartbeat (see Is) to a peer and waits for its answer. Errors: ErrOldPeer, ErrNotHere, ErrLate,
// cluster.ErrStopped, an error of the peer's Raft, or one of the connection.
func (p *Port) Send(peer cluster.NodeID, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	l, err := p.x.links.To(peer)
	if err != nil {
		return err
	}
	c := &call{port: p, header: args.RPCHeader, leader: args.Leader, term: args.Term, done: make(chan error, 1)}
	l.add(c)
	timer := time.NewTimer(p.x.cfg.Timeout)
	defer timer.Stop()
	select {
	case err = <-c.done:
	case <-timer.C:
		err = l.giveUp(c)
	}
	if err != nil {
		return err
	}
	*resp = c.answer
	return nil
}
