package group

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/state"
)

// fsm lets Raft drive a cluster.StateMachine over the group's keys.
//
// Invariant: the applied index in the keys is that of the last entry whose effect they show, and
// applied.value() equals it. Entries at or below it are skipped: after a restart Raft replays more
// than was lost, and a streamed snapshot is newer than its index.
type fsm struct {
	life    context.Context // of the replica; Raft has none to give
	state   *state.Group
	flush   func() error
	machine cluster.StateMachine
	applied *watermark
	snaps   *snapshots
	fail    func(error) // stops the group
	// committed is told each new applied index, before the machine is.
	committed func(cluster.LogIndex)

	mu     sync.Mutex // held over commits
	broken error      // guarded by mu: after a failure nothing is applied any more
}

var _ raft.BatchingFSM = (*fsm)(nil)

// outcome is what Raft hands from the state machine to the proposer.
type outcome struct {
	result []byte
	err    error
}

// Apply implements raft.FSM.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM: one batch of the database for all of logs.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]any, len(logs))
	if f.broken == nil {
		if err := f.apply(logs, out); err != nil {
			f.broken = fmt.Errorf("apply entries %d to %d: %w", logs[0].Index, logs[len(logs)-1].Index, err)
			f.fail(f.broken)
		}
	}
	if f.broken != nil {
		for i := range out {
			out[i] = outcome{err: f.broken}
		}
	}
	return out
}

// apply executes what is new of logs and fills out. The caller holds mu.
func (f *fsm) apply(logs []*raft.Log, out []any) error {
	applied := f.applied.value()
	entries := make([]cluster.Entry, 0, len(logs))
	places := make([]int, 0, len(logs))
	for i, l := range logs {
		if index := cluster.LogIndex(l.Index); index > applied && l.Type == raft.LogCommand {
			entries = append(entries, cluster.Entry{Index: index, Data: l.Data})
			places = append(places, i)
		}
	}
	last := cluster.LogIndex(logs[len(logs)-1].Index)
	if last <= applied {
		return nil
	}
	b := f.state.NewBatch()
	defer b.Close()
	if len(entries) > 0 {
		results, err := f.machine.Apply(b, entries)
		if err != nil {
			return err
		}
		if len(results) != len(entries) {
			return fmt.Errorf("%d results for %d entries", len(results), len(entries))
		}
		for i, r := range results {
			out[places[i]] = outcome{result: r}
		}
	}
	if err := b.Commit(last); err != nil {
		return err
	}
	f.applied.advance(last)
	f.committed(last)
	f.machine.Committed(last)
	return nil
}

// reach notes that everything up to index was applied, also entries that Raft does not show to the
// state machine. It keeps the applied index at or above the index of a snapshot.
func (f *fsm) reach(index cluster.LogIndex) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return f.broken
	}
	if f.applied.value() >= index {
		return nil
	}
	b := f.state.NewBatch()
	defer b.Close()
	if err := b.Commit(index); err != nil {
		return err
	}
	f.applied.advance(index)
	return nil
}

// Snapshot implements raft.FSM. There is nothing to capture.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return nil, f.broken
	}
	return fsmSnapshot{f}, nil
}

// fsmSnapshot takes a snapshot by making the state durable; the record is written by the sink.
type fsmSnapshot struct{ f *fsm }

// Persist implements raft.FSMSnapshot.
func (s fsmSnapshot) Persist(to raft.SnapshotSink) error {
	k, ok := to.(*sink)
	if !ok {
		return fmt.Errorf("snapshot into a %T", to)
	}
	if err := s.f.reach(k.record.Index); err != nil {
		return err
	}
	if err := s.f.flush(); err != nil {
		return err
	}
	k.taken = true
	return nil
}

// Release implements raft.FSMSnapshot.
func (fsmSnapshot) Release() {}

// Restore implements raft.FSM: it imports a stream that another replica sent.
func (f *fsm) Restore(stream io.ReadCloser) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return f.broken
	}
	applied, err := f.snaps.install(f.life, stream, f.applied.value())
	if err != nil {
		return err
	}
	if err := f.restored(applied); err != nil {
		f.broken = err
		f.fail(err)
		return err
	}
	return nil
}

// restored shows the machine the keys as they are now. The caller holds mu, or is alone.
func (f *fsm) restored(applied cluster.LogIndex) (err error) {
	view := f.state.Snapshot()
	defer func() { err = errors.Join(err, view.Close()) }()
	if err := f.machine.Restored(view); err != nil {
		return fmt.Errorf("read restored state: %w", err)
	}
	f.applied.advance(applied)
	return nil
}
