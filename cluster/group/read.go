package group

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// Snapshot returns a consistent view of the group's keys at this moment. The caller closes it
// before the state database is closed.
func (g *Group) Snapshot() kv.Snapshot { return g.fsm.state.Snapshot() }

// Applied is the highest index whose effect Snapshot shows.
func (g *Group) Applied() cluster.LogIndex { return g.applied.value() }

// WaitApplied waits until Applied is at least index, which is one that Propose or ReadIndex gave.
func (g *Group) WaitApplied(ctx context.Context, index cluster.LogIndex) error {
	if err := g.applied.wait(ctx, index); err != nil {
		return fmt.Errorf("wait until %v has applied %d: %w", g.cfg.ID, index, err)
	}
	return nil
}

// ReadIndex confirms with a majority that this replica leads, and returns an index: a replica that
// has applied it shows every command acknowledged before the call. Errors are those of Propose.
//
// What earlier leaders acknowledged is below the barrier with which leadership began; what this
// one acknowledged, it had applied. A newer leader, of which this one does not know, cannot have
// acknowledged anything before the majority confirmed.
func (g *Group) ReadIndex(ctx context.Context) (cluster.LogIndex, error) {
	if !g.IsLeader() {
		return 0, fmt.Errorf("read index of %v: %w", g.cfg.ID, cluster.ErrNotLeader)
	}
	index := g.applied.value()
	if err := g.await(ctx, g.raft.VerifyLeader); err != nil {
		return 0, fmt.Errorf("read index of %v: %w", g.cfg.ID, err)
	}
	return index, nil
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
