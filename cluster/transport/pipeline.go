package transport

import (
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/transport/entries"
	"github.com/rookery-mail/rookery/cluster/transport/heartbeat"
)

// RaftTransport is raft.NetworkTransport with heartbeats and entries that share links with those of other groups, with
// pipelines that cannot lock up and do not say twice what is confirmed (see repeats), and with a commit index
// in each append that the append itself covers (see covered).
//
// In raft v1.8.0 the reader of a pipeline's responses leaves when a follower refuses an append or
// knows a newer term; with few requests in flight the sender may then wait for a place in the
// pipeline that only the reader would have made, for ever: the follower gets no entries any more,
// and a shutdown waits for the sender. Keeping many in flight would hide that at the cost of commit
// latency; instead, responses that nobody reads are set aside here.
type RaftTransport struct {
	*raft.NetworkTransport
	beats    *heartbeat.Port
	exchange *entries.Exchange
	entries  *entries.Port
	resolve  func(cluster.NodeID) (string, bool)
}

var (
	_ raft.Transport   = RaftTransport{}
	_ raft.WithPreVote = RaftTransport{}
	_ raft.WithClose   = RaftTransport{}
)

// setAside is how many responses may wait for a reader. The sender notices the end of the reader
// after each request, with even odds against another request: it never gets near.
const setAside = 64

// AppendEntriesPipeline implements raft.Transport.
func (t RaftTransport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	peer := cluster.NodeID(id)
	if _, known := t.resolve(peer); known {
		p := &linked{}
		inner, err := t.entries.Pipeline(peer, entries.Hooks{
			Bulk: func(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
				return t.NetworkTransport.AppendEntries(id, target, args, resp)
			},
			Confirmed: func(args *raft.AppendEntriesRequest) { p.repeats.confirmed(args, time.Now()) },
		})
		if err == nil {
			p.Pipeline = inner
			return p, nil
		}
		if !errors.Is(err, entries.ErrOldPeer) {
			return nil, err
		}
	}
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	p := &pipeline{AppendPipeline: inner, upgraded: func() bool { return t.exchange.Linked(peer) },
		responses: make(chan raft.AppendFuture, setAside), done: make(chan struct{})}
	p.pumping.Go(p.pump)
	return p, nil
}

// Consumer implements raft.Transport.
func (t RaftTransport) Consumer() <-chan raft.RPC { return t.entries.Consumer() }

// SetHeartbeatHandler implements raft.Transport.
func (t RaftTransport) SetHeartbeatHandler(handler func(raft.RPC)) {
	t.NetworkTransport.SetHeartbeatHandler(handler)
	t.beats.SetHandler(handler)
}

// Expedite sends the group's heartbeats without waiting for those of other groups until done is called.
// It comes before raft is asked to verify its leadership.
func (t RaftTransport) Expedite() (done func()) { return t.beats.Expedite() }

// Close implements raft.WithClose.
func (t RaftTransport) Close() error {
	t.beats.Close()
	err := t.NetworkTransport.Close()
	t.entries.Close()
	return err
}

// AppendEntries implements raft.Transport.
func (t RaftTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	// A peer that Resolve does not know is called at its address in Raft's configuration, which a link,
	// being of all groups, has not got.
	_, known := t.resolve(cluster.NodeID(id))
	switch {
	case known && heartbeat.Is(args):
		err := t.beats.Send(cluster.NodeID(id), args, resp)
		// For builds from before November 2026, which do not know KindHeartbeat. ErrOldPeer may go, and with it
		// NetworkTransport's own path for heartbeats, when nobody upgrades from one any more.
		if !errors.Is(err, heartbeat.ErrOldPeer) {
			return err
		}
	case known && entries.Size(args) <= entries.Bulk:
		err := t.entries.Send(cluster.NodeID(id), covered(args), resp)
		// As above, for builds that do not know KindEntries, of the same month.
		if !errors.Is(err, entries.ErrOldPeer) {
			return err
		}
	}
	return t.NetworkTransport.AppendEntries(id, target, covered(args), resp)
}

// covered lowers the commit index of an append to the last entry that it proves the follower to have.
//
// A follower may commit up to the lower of the leader's commit index and the last entry of the append
// (the Raft paper, figure 2). raft v1.8.0 takes the end of the follower's log instead. Its leader reads
// the end of its own log, may then wait out a back-off or for a connection, and reads the commit index
// after that: such an append has no entries and a commit index beyond what it proves. An old leader that
// was cut off with an entry of its own at that place would commit and apply it, though the majority has
// another one there.
func covered(args *raft.AppendEntriesRequest) *raft.AppendEntriesRequest {
	last := args.PrevLogEntry
	if n := len(args.Entries); n > 0 {
		last = args.Entries[n-1].Index
	}
	if args.LeaderCommitIndex <= last {
		return args
	}
	lowered := *args
	lowered.LeaderCommitIndex = last
	return &lowered
}

// errUpgraded ends a pipeline to a peer that takes shared entries now: Raft opens another one.
var errUpgraded = errors.New("the peer takes shared entries now")

// linked is a pipeline over the link that all groups share.
type linked struct {
	*entries.Pipeline
	repeats repeats
}

// AppendEntries implements raft.AppendPipeline.
func (p *linked) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	args = covered(args)
	if now := time.Now(); p.repeats.known(args, now) {
		return unsent{args, resp, now}, nil
	}
	return p.Pipeline.AppendEntries(args, resp)
}

// pipeline is one over a connection of its own, to a peer whose build knows no shared entries.
type pipeline struct {
	raft.AppendPipeline
	repeats   repeats
	upgraded  func() bool // the peer takes shared entries
	responses chan raft.AppendFuture
	once      sync.Once
	done      chan struct{}
	pumping   sync.WaitGroup
}

// pump takes responses off the wire whether or not anyone reads them.
func (p *pipeline) pump() {
	for {
		select {
		case f := <-p.AppendPipeline.Consumer():
			if f.Error() == nil && f.Response().Success {
				p.repeats.confirmed(f.Request(), time.Now())
			}
			select {
			case p.responses <- f:
			case <-p.done:
				return
			}
		case <-p.done:
			return
		}
	}
}

// AppendEntries implements raft.AppendPipeline.
func (p *pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	args = covered(args)
	if now := time.Now(); p.repeats.known(args, now) {
		return unsent{args, resp, now}, nil
	}
	if p.upgraded() {
		return nil, errUpgraded
	}
	return p.AppendPipeline.AppendEntries(args, resp)
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.responses }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.done) })
	p.pumping.Wait()
	return p.AppendPipeline.Close()
}
