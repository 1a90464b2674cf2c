// Package exactlyonce makes a replicated state machine execute each command identity once: a
// proposer retries through leader changes with the same cluster.CommandID and always gets the
// result of the first execution.
package exactlyonce

import (
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// Machine executes one command at a time.
type Machine interface {
	// Execute applies c to b and returns what its sender is told. An error halts the group.
	Execute(b kv.Batch, c command.Command) (result []byte, err error)
	// Committed and Restored are those of cluster.StateMachine.
	Committed(index cluster.LogIndex)
	Restored(r kv.Reader) error
}

// New wraps m into a state machine for a group.
func New(m Machine) cluster.StateMachine { panic("not written yet") }
