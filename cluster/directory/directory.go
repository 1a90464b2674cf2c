// Package directory is the directory group's state machine: the cluster itself, its settings, domains,
// accounts with their credentials, aliases, nodes, tokens, and the map of partitions to nodes. A full
// copy is on every node, so that authentication and routing read locally.
//
// It has three sides. Commands (CreateAccount and the like) are built by whoever wants a change and
// proposed to cluster.DirectoryGroup; Machine executes them; View reads, Resolve among it. DecodeResult
// tells the proposer what came of a command.
//
// The package does no I/O and holds no passwords: see cluster/directory/credential, and
// cluster/directory/login for who may log in. It moves no replicas: the partition map records what
// cluster/placement planned. It drops no mail: who deletes an account also proposes a
// command.DropAccount to the account's partition, which the result names.
package directory

import (
	"errors"
	"fmt"
	"sync"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// Machine executes the directory's commands. Its state is the keys of KEYS.md; in memory it holds
// nothing but its watchers. Methods may be called from any goroutine.
type Machine struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{} // guarded by mu
}

type watcher struct{ changed chan struct{} }

// New returns a machine without watchers.
func New() *Machine {
	return &Machine{watchers: make(map[*watcher]struct{})}
}

// Execute executes one command against b and returns a result for DecodeResult. What the sender did
// wrong is in the result; an error means that the state cannot be read or written, or that the kind
// of command is not known to this build, and the group has to stop.
//
// Invariant: a refused command has written nothing. Every check comes before the first write.
func (m *Machine) Execute(b kv.Batch, c command.Command) ([]byte, error) {
	result, err := dispatch(step{Batch: b, now: millis(c.Time)}, c)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		result, err = &directorypb.Result{Code: codeOf(refusal.Reason), Text: refusal.Text}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("execute %v: %w", c.Kind, err)
	}
	return result.MarshalVT()
}

// Committed wakes the watchers. See cluster.StateMachine.
func (m *Machine) Committed(cluster.LogIndex) { m.wake() }

// Restored wakes the watchers: everything may be different. See cluster.StateMachine.
func (m *Machine) Restored(kv.Reader) error {
	m.wake()
	return nil
}

// Watch returns a channel that gets a token after something of the directory may have changed.
// Tokens do not queue: one stands for any number of changes. The caller calls stop when done; the
// channel is not closed.
func (m *Machine) Watch() (changed <-chan struct{}, stop func()) {
	w := &watcher{changed: make(chan struct{}, 1)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchers[w] = struct{}{}
	return w.changed, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, w)
	}
}

func (m *Machine) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range m.watchers {
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// dispatch decodes the payload and executes it. A command that is refused comes back as *Refusal.
func dispatch(s step, c command.Command) (*directorypb.Result, error) {
	switch c.Kind {
	case command.InitialiseCluster:
		return run(s, c, &directorypb.InitialiseCluster{}, initialise)
	case command.PutDomain:
		return run(s, c, &directorypb.PutDomain{}, putDomain)
	case command.DeleteDomain:
		return run(s, c, &directorypb.DeleteDomain{}, deleteDomain)
	case command.PutAccount:
		return run(s, c, &directorypb.PutAccount{}, putAccount)
	case command.DeleteAccount:
		return run(s, c, &directorypb.DeleteAccount{}, deleteAccount)
	case command.PutAlias:
		return run(s, c, &directorypb.PutAlias{}, putAlias)
	case command.DeleteAlias:
		return run(s, c, &directorypb.DeleteAlias{}, deleteAlias)
	case command.PutSetting:
		return run(s, c, &directorypb.PutSetting{}, putSetting)
	case command.RegisterNode:
		return run(s, c, &directorypb.RegisterNode{}, registerNode)
	case command.UpdateNode:
		return run(s, c, &directorypb.UpdateNode{}, updateNode)
	case command.RemoveNode:
		return run(s, c, &directorypb.RemoveNode{}, removeNode)
	case command.PutToken:
		return run(s, c, &directorypb.PutToken{}, putToken)
	case command.RedeemToken:
		return run(s, c, &directorypb.RedeemToken{}, redeemToken)
	case command.DeleteToken:
		return run(s, c, &directorypb.DeleteToken{}, deleteToken)
	case command.NoteSharing:
		return run(s, c, &directorypb.NoteSharing{}, noteSharing)
	case command.PutAnnotations:
		return run(s, c, &directorypb.PutAnnotations{}, putAnnotations)
	case command.PutMail:
		return run(s, c, &directorypb.PutMail{}, putMail)
	case command.PutPartitionMap:
		return run(s, c, &directorypb.PutPartitionMap{}, putPartitionMap)
	}
	return nil, fmt.Errorf("the directory does not know this kind, this build is too old: %w", command.ErrFormat)
}

// run decodes a payload into m and executes it. A payload that cannot be read is refused, not fatal:
// all replicas see the same bytes, and one bad proposer must not stop the directory of all.
func run[M record](s step, c command.Command, m M, execute func(step, M) (*directorypb.Result, error)) (*directorypb.Result, error) {
	if err := m.UnmarshalVT(c.Payload); err != nil {
		return nil, refuse(ErrInvalid, "the payload of %v cannot be read", c.Kind)
	}
	return execute(s, m)
}
