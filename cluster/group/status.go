package group

import (
	"time"

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
