package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// Snapshot returns a consistent view of the group's keys at this moment. The caller closes it
// before the state database is closed.
func (g *Group) Snapshot() kv.Snapshot { return g.fsm.state.Snapshot() }

// Applied is the highest index whose effect Snapshot shows.
func (g *Group) Applied() cluster.LogIndex { return g.applied.value() }

// WaitApplied waits until Snapshot shows every command up to index, which is one that Propose or
// ReadIndex gave.
func (g *Group) WaitApplied(ctx context.Context, index cluster.LogIndex) error {
	for g.applied.value() < index {
		tick, cancel := context.WithTimeout(ctx, showsEvery)
		err := g.applied.wait(tick, index)
		cancel()
		if err == nil || ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && g.shows(index) {
			return nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("wait until %v has applied %d: %w", g.cfg.ID, index, err)
		}
	}
	return nil
}

// showsEvery is how often a waiting reader looks for entries that do not come to the state machine.
const showsEvery = 20 * time.Millisecond

// shows reports whether what is committed here up to index holds nothing that is still to be
// applied. Raft does not show its own entries to the state machine, so Applied stays below them; the
// leader's does not always, since it counts them when it takes a snapshot.
func (g *Group) shows(index cluster.LogIndex) bool {
	applied := g.applied.value()
	if g.raft.CommitIndex() < uint64(index) {
		return false
	}
	for i := applied + 1; i <= index; i++ {
		var entry raft.Log
		if err := g.log.GetLog(uint64(i), &entry); err != nil || entry.Type == raft.LogCommand {
			return false
		}
	}
	return true
}

// ReadIndex confirms with a majority that this replica leads, and returns an index: a replica that
// has applied it shows every command acknowledged before the call. Errors are those of Propose.
//
// What earlier leaders acknowledged is below the barrier with which leadership began; what this
// one acknowledged, it had committed. A newer leader, of which this one does not know, cannot have
// acknowledged anything before the majority confirmed. It is the commit index and not what is applied
// here: a follower may have applied, and shown to a reader, what this replica has still before it.
func (g *Group) ReadIndex(ctx context.Context) (cluster.LogIndex, error) {
	if !g.IsLeader() {
		return 0, fmt.Errorf("read index of %v: %w", g.cfg.ID, cluster.ErrNotLeader)
	}
	index := g.lastCommand(cluster.LogIndex(g.raft.CommitIndex()))
	defer g.expedite()()
	if err := g.await(ctx, g.raft.VerifyLeader); err != nil {
		return 0, fmt.Errorf("read index of %v: %w", g.cfg.ID, err)
	}
	return index, nil
}

// expediter is a raft.Transport that may hold heartbeats, so that those of several groups go together.
type expediter interface {
	// Expedite sends the group's at once until done is called.
	Expedite() (done func())
}

// expedite is called before raft verifies leadership by heartbeats: the transport cannot tell these from
// the ones that can wait.
func (g *Group) expedite() (done func()) {
	if t, ok := g.cfg.Transport.(expediter); ok {
		return t.Expedite()
	}
	return func() {}
}

// lastCommand returns the last entry up to index that is still to be applied, or else what is
// applied: nobody has to wait for entries that Raft does not show to the state machine.
func (g *Group) lastCommand(index cluster.LogIndex) cluster.LogIndex {
	applied := g.applied.value()
	for ; index > applied; index-- {
		var entry raft.Log
		if err := g.log.GetLog(uint64(index), &entry); err != nil || entry.Type == raft.LogCommand {
			return index
		}
	}
	return applied
}

// Barrier waits until everything that was committed before is applied here. Leader only; it costs
// a log entry, ReadIndex does not.
func (g *Group) Barrier(ctx context.Context) error {
	err := g.await(ctx, func() raft.Future { return g.raft.Barrier(timeLeft(ctx)) })
	if err != nil {
		return fmt.Errorf("barrier of %v: %w", g.cfg.ID, err)
	}
	return nil
}

// TakeSnapshot records a snapshot now and truncates the log behind it.
func (g *Group) TakeSnapshot(ctx context.Context) error {
	if err := g.trail(); err != nil {
		return fmt.Errorf("snapshot of %v: %w", g.cfg.ID, err)
	}
	err := g.await(ctx, func() raft.Future { return g.raft.Snapshot() })
	if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return fmt.Errorf("snapshot of %v: %w", g.cfg.ID, err)
	}
	return nil
}
