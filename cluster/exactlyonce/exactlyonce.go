// Package exactlyonce makes a replicated state machine execute each command identity once: a
// proposer retries through leader changes with the same cluster.CommandID and always gets the
// result of the first execution.
//
// The identities of the newest Window commands are remembered with their results, in the group's
// keys. It is no dedup of deliveries, which come with new identities (see index/mailbox).
package exactlyonce

import (
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// Window is how many executed commands are remembered at least. A proposer gives up after 10
// seconds, in which a group commits fewer.
const Window = 32768

// evictChunk is how many are forgotten at once, so that it costs one range deletion.
const evictChunk = 1024

// ErrTooOld says that the log holds a command which this build cannot execute. Skipping it would
// let this replica's state drift from the others, so the group halts here.
var ErrTooOld = errors.New("this version of rookery is too old for the group's log: upgrade this node")

// Machine executes one command at a time. What holds for cluster.StateMachine holds for it.
type Machine interface {
	// Execute applies c to b and returns what its sender is told. An error halts the group; a kind
	// that the machine does not know must be one. The payload is not kept.
	Execute(b kv.Batch, c command.Command) (result []byte, err error)
	// Committed and Restored are those of cluster.StateMachine.
	Committed(index cluster.LogIndex)
	Restored(r kv.Reader) error
}

// New wraps m into a state machine for a group.
func New(m Machine) cluster.StateMachine { return &once{machine: m, window: Window, chunk: evictChunk} }

// once decorates a Machine. Invariant: recent is a copy of the keys 0x02.
type once struct {
	machine Machine
	window  int
	chunk   int
	recent  memory
}

// Apply implements cluster.StateMachine.
func (o *once) Apply(b kv.Batch, entries []cluster.Entry) ([][]byte, error) {
	results := make([][]byte, len(entries))
	for i, e := range entries {
		c, err := command.Decode(e.Data)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w: %w", e.Index, ErrTooOld, err)
		}
		if _, known := c.Kind.Since(); !known {
			return nil, fmt.Errorf("entry %d holds a command of %v: %w", e.Index, c.Kind, ErrTooOld)
		}
		c.Index = e.Index
		if results[i], err = o.execute(b, c); err != nil {
			return nil, fmt.Errorf("entry %d, %v %v: %w", e.Index, c.Kind, c.ID, err)
		}
	}
	return results, nil
}

// execute returns the result of the first execution of c, which is this one if there was none. A
// command without an identity is executed each time it comes.
func (o *once) execute(b kv.Batch, c command.Command) ([]byte, error) {
	if at, ok := o.recent.find(c.ID); ok {
		result, ok, err := b.Get(recentKey(at, c.ID))
		if err == nil && !ok {
			err = fmt.Errorf("the result of entry %d is not kept", at)
		}
		return result, err
	}
	result, err := o.machine.Execute(b, c)
	if err != nil || c.ID.IsZero() {
		return result, err
	}
	if err := b.Set(recentKey(c.Index, c.ID), result); err != nil {
		return nil, fmt.Errorf("keep the result: %w", err)
	}
	o.recent.add(c.Index, c.ID)
	return result, o.evict(b)
}

// evict forgets the oldest commands once there are chunk more than the window. When that happens
// follows from the keys alone, so that all replicas do it at the same entry.
func (o *once) evict(b kv.Batch) error {
	if o.recent.len() < o.window+o.chunk {
		return nil
	}
	next := o.recent.drop(o.chunk)
	if err := b.DeleteRange([]byte{recentPrefix}, recentKey(next, cluster.CommandID{})); err != nil {
		return fmt.Errorf("forget old results: %w", err)
	}
	return nil
}

// Committed implements cluster.StateMachine.
func (o *once) Committed(index cluster.LogIndex) { o.machine.Committed(index) }

// Restored implements cluster.StateMachine.
func (o *once) Restored(r kv.Reader) error {
	if err := o.recent.load(r); err != nil {
		return fmt.Errorf("read recent commands: %w", err)
	}
	return o.machine.Restored(r)
}
