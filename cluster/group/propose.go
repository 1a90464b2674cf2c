package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// Propose replicates an encoded command (cluster/command) and waits until it is committed and
// applied here. data belongs to the group from the call on: the caller never changes it again.
//
// Errors: cluster.ErrNotLeader (not executed, try the leader), cluster.ErrUnavailable (outcome
// unknown, retry with the same id), cluster.ErrStorageFull, cluster.ErrTooLarge, cluster.ErrStopped.
func (g *Group) Propose(ctx context.Context, data []byte) (result []byte, index cluster.LogIndex, err error) {
	result, index, err = g.propose(ctx, data)
	if err != nil {
		return nil, 0, fmt.Errorf("propose to %v: %w", g.cfg.ID, err)
	}
	return result, index, nil
}

func (g *Group) propose(ctx context.Context, data []byte) ([]byte, cluster.LogIndex, error) {
	if len(data) > cluster.MaxEntrySize {
		return nil, 0, fmt.Errorf("%d bytes: %w", len(data), cluster.ErrTooLarge)
	}
	if g.raft.State() != raft.Leader {
		return nil, 0, cluster.ErrNotLeader
	}
	if err := g.cfg.Logs.Full(); err != nil {
		return nil, 0, err
	}
	size := int64(len(data))
	if err := g.inFlight.Acquire(ctx, size); err != nil {
		return nil, 0, fmt.Errorf("wait for earlier proposals: %w: %w", cluster.ErrUnavailable, err)
	}
	if !g.gate.enter() {
		g.inFlight.Release(size)
		return nil, 0, cluster.ErrStopped
	}
	done := make(chan raft.ApplyFuture, 1)
	go func() { // the gate waits for it
		defer g.gate.leave()
		f := g.raft.Apply(data, timeLeft(ctx))
		_ = f.Error() // kept in the future
		g.inFlight.Release(size)
		done <- f
	}()
	select {
	case f := <-done:
		return conclude(f)
	case <-ctx.Done():
		return nil, 0, fmt.Errorf("%w: %w", cluster.ErrUnavailable, ctx.Err())
	}
}

// conclude reads what a proposal came to.
func conclude(f raft.ApplyFuture) ([]byte, cluster.LogIndex, error) {
	if err := f.Error(); err != nil {
		return nil, 0, translate(err)
	}
	o, ok := f.Response().(outcome)
	if !ok {
		// Only a stopping state machine skips the entry of a proposer that still waits.
		return nil, 0, cluster.ErrUnavailable
	}
	if o.err != nil {
		return nil, 0, fmt.Errorf("%w: %w", cluster.ErrStopped, o.err)
	}
	return o.result, cluster.LogIndex(f.Index()), nil
}

// await begins a call of Raft and waits for its end or ctx's.
func (g *Group) await(ctx context.Context, begin func() raft.Future) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !g.gate.enter() {
		return cluster.ErrStopped
	}
	done := make(chan error, 1)
	go func() { // the gate waits for it
		defer g.gate.leave()
		done <- begin().Error()
	}()
	select {
	case err := <-done:
		return translate(err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", cluster.ErrUnavailable, ctx.Err())
	}
}

// timeLeft is what Raft may take to accept a call; 0 means any time.
func timeLeft(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(time.Until(deadline), time.Millisecond)
}

// translate turns Raft's errors into those of cluster.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return cluster.ErrNotLeader
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
	case errors.Is(err, raft.ErrRaftShutdown):
		return cluster.ErrStopped
	}
	return err // from the log: cluster.ErrStorageFull, or a fault
}
