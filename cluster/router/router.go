// Package router brings a command to the leader of its group, wherever that is, and keeps trying with
// the same command id while leaders change, so that a caller sees either the result of the one
// execution or cluster.ErrUnavailable. It also finds the local replica to read from, and calls
// methods at a leader where there is none. It knows the groups of its node and who the members of
// others are only through functions it is given; it starts no goroutine that outlives a call.
package router

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/rpc"
)

// Replica is the reading side of a group's replica on this node.
type Replica interface {
	// Snapshot is what the replica shows at this moment.
	Snapshot() kv.Snapshot
	// Applied is the highest index whose effect Snapshot shows.
	Applied() cluster.LogIndex
	// WaitApplied waits until Applied is at least index.
	WaitApplied(ctx context.Context, index cluster.LogIndex) error
}

// Group is a replica on this node with its Raft side, as cluster/group runs it.
type Group interface {
	Replica
	// Propose replicates an encoded command if this replica leads.
	Propose(ctx context.Context, data []byte) (result []byte, index cluster.LogIndex, err error)
	// ReadIndex confirms leadership and returns the index that a reader has to have applied.
	ReadIndex(ctx context.Context) (cluster.LogIndex, error)
	// Leader is the leader as this replica knows it.
	Leader() (leader cluster.NodeID, ok bool)
	// LeaderChanged is closed at the next change of Leader.
	LeaderChanged() <-chan struct{}
}

// Caller calls methods of nodes; *rpc.Client is one.
type Caller interface {
	Call(ctx context.Context, node cluster.NodeID, method string, request []byte) ([]byte, error)
}

// Registry takes the methods that the router serves; *rpc.Mux is one.
type Registry interface {
	Register(name string, method rpc.Method)
}

// DefaultPatience is how long a call looks for a leader that answers.
const DefaultPatience = 10 * time.Second

// Config is what a Router works with. All but Patience are required.
type Config struct {
	Self cluster.NodeID
	// Local gives this node's replica of a group, ok false where it has none.
	Local func(cluster.GroupID) (replica Group, ok bool)
	// Members gives the nodes that may lead a group, from the partition map. It may be out of date.
	Members func(cluster.GroupID) []cluster.NodeID
	Caller  Caller
	Clock   func() time.Time // for commands without a time
	Random  io.Reader        // for command ids: crypto/rand.Reader
	// Level is what the cluster's members all execute; nil is everything that this build knows.
	Level func() command.Level
	// Patience bounds each call in addition to its context; zero is DefaultPatience.
	Patience time.Duration
}

// Router is safe for concurrent use.
type Router struct {
	cfg Config

	mu      sync.Mutex // guards leaders
	leaders map[cluster.GroupID]cluster.NodeID
}

// New makes a router.
func New(cfg Config) *Router {
	if cfg.Patience == 0 {
		cfg.Patience = DefaultPatience
	}
	return &Router{cfg: cfg, leaders: map[cluster.GroupID]cluster.NodeID{}}
}

// Replica gives the local replica of a group to read from, or cluster.ErrNoReplica.
func (r *Router) Replica(g cluster.GroupID) (Replica, error) {
	local, ok := r.cfg.Local(g)
	if !ok {
		return nil, fmt.Errorf("read %v: %w", g, cluster.ErrNoReplica)
	}
	return local, nil
}

// Propose has a command executed by its group, once, and returns its result and its place in the
// log: a replica that has applied index shows its effect. A zero ID or Time is filled in; a caller
// that proposes the same command again after an error keeps the ID.
//
// Errors: cluster.ErrUnavailable when no leader answered before the end of ctx or the router's
// patience, whether the command was or will be executed is not known then; cluster.ErrStorageFull;
// cluster.ErrTooLarge; command.ErrTooEarly, which is an ErrUnavailable too, and nothing was proposed.
func (r *Router) Propose(ctx context.Context, g cluster.GroupID, c command.Command) (result []byte, index cluster.LogIndex, err error) {
	if r.cfg.Level != nil && c.Kind.Level() > r.cfg.Level() {
		return nil, 0, fmt.Errorf("propose %v to %v: %w: %w", c.Kind, g, command.ErrTooEarly, cluster.ErrUnavailable)
	}
	if c.ID.IsZero() {
		if _, err := io.ReadFull(r.cfg.Random, c.ID[:]); err != nil {
			return nil, 0, fmt.Errorf("draw an id for %v: %w", c.Kind, err)
		}
	}
	if c.Time.IsZero() {
		c.Time = r.cfg.Clock()
	}
	// The encoded command stands behind the header of a forwarded proposal, so that it is built
	// once for all attempts. Nobody writes to it again.
	forward := appendForward(make([]byte, 0, forwardHeader+command.HeaderSize+len(c.Payload)), g, 0)
	forward = c.Append(forward)
	if size := len(forward) - forwardHeader; size > cluster.MaxEntrySize {
		return nil, 0, fmt.Errorf("propose %v of %d bytes to %v: %w", c.Kind, size, g, cluster.ErrTooLarge)
	}
	err = r.lead(ctx, g, func(ctx context.Context, to target) error {
		var err error
		result, index, err = r.proposeAt(ctx, g, to, forward)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("propose %v to %v: %w", c.Kind, g, err)
	}
	return result, index, nil
}

// ReadIndex returns an index of a group that its leader has confirmed: a replica that has applied it
// shows every command that was acknowledged, anywhere, before the call.
func (r *Router) ReadIndex(ctx context.Context, g cluster.GroupID) (index cluster.LogIndex, err error) {
	err = r.lead(ctx, g, func(ctx context.Context, to target) error {
		var err error
		index, err = r.readIndexAt(ctx, g, to)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read index of %v: %w", g, err)
	}
	return index, nil
}

// Fresh gives the local replica once it shows every command that was acknowledged before the call.
func (r *Router) Fresh(ctx context.Context, g cluster.GroupID) (Replica, error) {
	replica, err := r.Replica(g)
	if err != nil {
		return nil, err
	}
	index, err := r.ReadIndex(ctx, g)
	if err != nil {
		return nil, err
	}
	if err := replica.WaitApplied(ctx, index); err != nil {
		return nil, fmt.Errorf("catch up with %v: %w", g, err)
	}
	return replica, nil
}

// CallLeader calls a method at the leader of a group. The method answers cluster.ErrNotLeader where
// it finds itself elsewhere, and may run more than once: it is for reads and idempotent work.
func (r *Router) CallLeader(ctx context.Context, g cluster.GroupID, method string, request []byte) (response []byte, err error) {
	err = r.lead(ctx, g, func(ctx context.Context, to target) error {
		var err error
		response, err = r.cfg.Caller.Call(ctx, to.node, method, request)
		if err == nil {
			r.remember(g, to.node) // only the leader answers
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("call %s at the leader of %v: %w", method, g, err)
	}
	return response, nil
}

// remember keeps who led a group last, for groups without a replica here.
func (r *Router) remember(g cluster.GroupID, leader cluster.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaders[g] = leader
}

func (r *Router) remembered(g cluster.GroupID) (cluster.NodeID, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	leader, ok := r.leaders[g]
	return leader, ok
}

// forget drops a leader that was none, unless another call has learned better.
func (r *Router) forget(g cluster.GroupID, leader cluster.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leaders[g] == leader {
		delete(r.leaders, g)
	}
}
