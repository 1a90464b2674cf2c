package group

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// A notice that was refused is sent again after noticeRetry, then twice that, until noticeRetryMax.
const (
	noticeRetry    = 2 * time.Millisecond
	noticeRetryMax = 64 * time.Millisecond
)

// announcer tells followers of a commit at once. hashicorp/raft lets the commit index travel with
// the next entries, or after Timing.Commit when there are none; a session that wrote through the
// leader and reads from a follower would wait that long. So when the leader has applied the last
// entry of its log, it sends each follower an AppendEntries without entries that names this entry
// as the previous one and as committed. Any follower may be sent this at any time: one that does
// not hold the entry yet refuses it, and is told again a few times before it is left to learn of the
// commit in Raft's own way.
type announcer struct {
	mu    sync.Mutex
	peers map[cluster.NodeID]chan struct{} // guarded by mu: one element means there is news
}

// announce is called by the state machine after a commit.
func (g *Group) announce(applied cluster.LogIndex) {
	if !g.running.Load() || g.raft.State() != raft.Leader {
		return
	}
	if last, _ := g.log.LastIndex(); uint64(applied) < last {
		return // the entries that follow carry the news
	}
	for _, s := range g.raft.GetConfiguration().Configuration().Servers {
		if id := cluster.NodeID(s.ID); id != g.cfg.Node {
			select {
			case g.announcer.channel(g, id) <- struct{}{}:
			default: // it is on its way
			}
		}
	}
}

// channel returns the news channel of a peer, and starts its announcing when it is the first.
func (a *announcer) channel(g *Group, id cluster.NodeID) chan<- struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	news, ok := a.peers[id]
	if !ok {
		if a.peers == nil {
			a.peers = make(map[cluster.NodeID]chan struct{})
		}
		news = make(chan struct{}, 1)
		a.peers[id] = news
		g.work.Go(func() { g.announceTo(id, news) })
	}
	return news
}

// announceTo sends the newest commit to a peer each time there is news, until the replica stops.
func (g *Group) announceTo(id cluster.NodeID, news <-chan struct{}) {
	for {
		select {
		case <-news:
		case <-g.life.Done():
			return
		}
		for wait := noticeRetry; wait <= noticeRetryMax && !g.sendNotice(id); wait *= 2 {
			g.pause(wait)
		}
	}
}

// sendNotice reports whether there is nothing more to say to the peer: it knows, or cannot be told.
// It may be told later if the entry is still on its way to it.
func (g *Group) sendNotice(id cluster.NodeID) (done bool) {
	notice, ok := g.commitNotice()
	if !ok || g.life.Err() != nil {
		return true
	}
	for _, m := range g.Members() {
		if m.ID != id {
			continue
		}
		var answer raft.AppendEntriesResponse
		err := g.cfg.Transport.AppendEntries(raft.ServerID(id), raft.ServerAddress(m.Address), notice, &answer)
		return err != nil || answer.Success || answer.Term > notice.Term
	}
	return true
}

// commitNotice says what is committed, as the leader of the current term, or ok false if this
// replica is not that.
func (g *Group) commitNotice() (notice *raft.AppendEntriesRequest, ok bool) {
	term := g.raft.CurrentTerm()
	commit := g.raft.CommitIndex()
	var entry raft.Log
	if err := g.log.GetLog(commit, &entry); err != nil {
		return nil, false
	}
	// The term only rises: if it is the same after, this replica led it at the moment in between.
	if g.raft.State() != raft.Leader || g.raft.CurrentTerm() != term {
		return nil, false
	}
	self := g.cfg.Transport.EncodePeer(raft.ServerID(g.cfg.Node), g.cfg.Transport.LocalAddr())
	return &raft.AppendEntriesRequest{
		RPCHeader:         raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(g.cfg.Node), Addr: self},
		Term:              term,
		Leader:            self,
		PrevLogEntry:      commit,
		PrevLogTerm:       entry.Term,
		LeaderCommitIndex: commit,
	}, true
}
