// Package group runs one replica of one Raft group: hashicorp/raft over cluster/raftlog and
// cluster/state, with snapshots that cost nothing to take, a log truncated by bytes, and leader
// work that starts after a barrier and is waited for when leadership ends.
//
// It routes nothing: a proposal on a replica that does not lead is refused, and cluster/router
// finds the leader.
package group

import (
	"context"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// Group is one replica of a group. It is safe for concurrent use.
type Group struct {
	cfg Config
}

// Open starts the replica from what Logs and State hold. It returns *raftlog.CorruptError when the
// log has a hole or does not reach the state.
func Open(ctx context.Context, cfg Config) (*Group, error) { panic("not written yet") }

// Bootstrap makes this replica, which must be new, the only voter of its group, at the transport's
// address.
func (g *Group) Bootstrap(ctx context.Context) error { panic("not written yet") }

// Close hands leadership over, stops the replica and flushes its state. After ctx's end it stops
// without waiting for the handover.
func (g *Group) Close(ctx context.Context) error { panic("not written yet") }

// ID is the group's number.
func (g *Group) ID() cluster.GroupID { return g.cfg.ID }

// Propose replicates an encoded command (cluster/command) and waits until it is committed and
// applied here. data belongs to the group from the call on: the caller never changes it again.
//
// Errors: cluster.ErrNotLeader (not executed, try the leader), cluster.ErrUnavailable (outcome
// unknown, retry with the same id), cluster.ErrStorageFull, cluster.ErrTooLarge, cluster.ErrStopped.
func (g *Group) Propose(ctx context.Context, data []byte) (result []byte, index cluster.LogIndex, err error) {
	panic("not written yet")
}

// Snapshot returns a consistent view of the group's keys at this moment.
func (g *Group) Snapshot() kv.Snapshot { panic("not written yet") }

// Applied is the highest index whose effect Snapshot shows.
func (g *Group) Applied() cluster.LogIndex { panic("not written yet") }

// WaitApplied waits until Applied is at least index.
func (g *Group) WaitApplied(ctx context.Context, index cluster.LogIndex) error {
	panic("not written yet")
}

// ReadIndex confirms with a majority that this replica leads, and returns an index: a replica that
// has applied it shows every command acknowledged before the call. ErrNotLeader elsewhere.
func (g *Group) ReadIndex(ctx context.Context) (cluster.LogIndex, error) { panic("not written yet") }

// Barrier waits until everything that was committed before is applied here. Leader only.
func (g *Group) Barrier(ctx context.Context) error { panic("not written yet") }

// Leader returns the leader as this replica knows it.
func (g *Group) Leader() (leader cluster.NodeID, ok bool) { panic("not written yet") }

// IsLeader reports whether this replica leads and has applied everything of earlier terms.
func (g *Group) IsLeader() bool { panic("not written yet") }

// LeaderChanged returns a channel that is closed when the leader, as known here, next changes.
func (g *Group) LeaderChanged() <-chan struct{} { panic("not written yet") }

// WhileLeader calls work each time this replica becomes the leader, after a barrier, with a
// context that ends with leadership, and waits for it. It returns when ctx ends or the group
// stops; the caller runs it in a goroutine of its own.
func (g *Group) WhileLeader(ctx context.Context, work func(ctx context.Context, term uint64)) error {
	panic("not written yet")
}

// Member is one server of the group's configuration.
type Member struct {
	ID      cluster.NodeID
	Address string
	Voter   bool
}

// Members returns the latest configuration known here.
func (g *Group) Members() []Member { panic("not written yet") }

// AddNonvoter adds a member that receives the log and does not vote. Leader only, idempotent.
func (g *Group) AddNonvoter(ctx context.Context, id cluster.NodeID, address string) error {
	panic("not written yet")
}

// AddVoter adds a member or promotes it. Leader only, idempotent.
func (g *Group) AddVoter(ctx context.Context, id cluster.NodeID, address string) error {
	panic("not written yet")
}

// Demote turns a voter into a member that does not vote. Leader only, idempotent.
func (g *Group) Demote(ctx context.Context, id cluster.NodeID) error { panic("not written yet") }

// Remove takes a member out. Leader only, idempotent.
func (g *Group) Remove(ctx context.Context, id cluster.NodeID) error { panic("not written yet") }

// TransferLeadership makes to the leader. Leader only.
func (g *Group) TransferLeadership(ctx context.Context, to cluster.NodeID) error {
	panic("not written yet")
}

// TakeSnapshot records a snapshot now and truncates the log behind it.
func (g *Group) TakeSnapshot(ctx context.Context) error { panic("not written yet") }

// Status describes the replica at this moment.
func (g *Group) Status() Status { panic("not written yet") }

// Done is closed when the replica has stopped, by Close, by a failure or because the group removed
// it. Err then tells why.
func (g *Group) Done() <-chan struct{} { panic("not written yet") }

// Err is why the replica stopped; nil after Close, ErrRemoved when the group removed it.
func (g *Group) Err() error { panic("not written yet") }
