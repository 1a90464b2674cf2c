package group

import (
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// Status is what an operator sees of a replica.
type Status struct {
	Group         cluster.GroupID
	State         string // "leader", "follower", "candidate" or "stopped"
	Term          uint64
	Leader        cluster.NodeID // empty if none is known
	LastIndex     cluster.LogIndex
	Commit        cluster.LogIndex
	Applied       cluster.LogIndex
	SnapshotIndex cluster.LogIndex
	LogBytes      int64         // log held on disk, approximately
	LastContact   time.Duration // since the leader was last heard; 0 on the leader, negative if never
	Members       []Member
	Failure       string // why the replica stopped, if it did
}

// Status describes the replica at this moment.
func (g *Group) Status() Status {
	leader, _ := g.Leader()
	s := Status{
		Group:     g.cfg.ID,
		State:     strings.ToLower(g.raft.State().String()),
		Term:      g.raft.CurrentTerm(),
		Leader:    leader,
		LastIndex: cluster.LogIndex(g.raft.LastIndex()),
		Commit:    cluster.LogIndex(g.raft.CommitIndex()),
		Applied:   g.Applied(),
		LogBytes:  g.log.Bytes(),
		Members:   g.Members(),
	}
	if record, ok := g.log.Snapshot(); ok {
		s.SnapshotIndex = record.Index
	}
	switch g.raft.State() {
	case raft.Leader:
	case raft.Shutdown:
		s.State = "stopped"
		s.LastContact = -1
	default:
		s.LastContact = -1
		if last := g.raft.LastContact(); !last.IsZero() {
			s.LastContact = time.Since(last)
		}
	}
	if err := g.Err(); err != nil {
		s.Failure = err.Error()
	}
	return s
}
