// Package mailstoretest makes a mailstore.Store for tests of servers: the real state machines over
// an in-memory Pebble, with commands applied at once instead of through Raft. It is not for
// production.
package mailstoretest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/exactlyonce"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/partition"
)

// Partitions is how many partitions the store has: 1 to Partitions.
const Partitions = 2

// Option changes the store that New makes.
type Option func(*mailstore.Config)

// New returns an empty store. Every account but 0 exists; account a is in partition
// 1 + a mod Partitions. The store ends with the test.
func New(t testing.TB, options ...Option) *mailstore.Store {
	t.Helper()
	return NewCluster(t).Store(options...)
}

// Cluster is what a Store of this package stands on.
type Cluster struct {
	db     *state.DB
	groups map[cluster.GroupID]*Group
	packed atomic.Uint64 // ids given to packs and the commands about them

	mu   sync.Mutex
	down error // guarded by mu: what proposals answer instead of being applied
}

// NewCluster returns empty partitions, for tests that need more than a Store.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	return newCluster(t, "state", state.Config{FS: vfs.NewMem()}, nil)
}

// NewCachedCluster is NewCluster for tests that look at the heap: with so many octets of Pebble's block cache, which is on it
// (0 is the default of cluster/state), and with its files on the disk, not on it.
func NewCachedCluster(t testing.TB, octets int64) *Cluster {
	t.Helper()
	return newCluster(t, t.TempDir(), state.Config{CacheBytes: octets}, nil)
}

// NewExtendedCluster is NewCluster with partitions that execute more than mail.
func NewExtendedCluster(t testing.TB, more func(cluster.GroupID) []partition.Extension) *Cluster {
	t.Helper()
	return newCluster(t, "state", state.Config{FS: vfs.NewMem()}, more)
}

func newCluster(t testing.TB, dir string, config state.Config, more func(cluster.GroupID) []partition.Extension) *Cluster {
	t.Helper()
	db, err := state.Open(dir, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &Cluster{db: db, groups: make(map[cluster.GroupID]*Group)}
	for g := cluster.GroupID(1); g <= Partitions; g++ {
		var config partition.Config
		if more != nil {
			config.More = more(g)
		}
		p := partition.New(config)
		group := &Group{state: db.Group(g), Partition: p, machine: exactlyonce.New(p)}
		snap := group.state.Snapshot()
		if err := group.machine.Restored(snap); err != nil {
			t.Fatal(err)
		}
		if err := snap.Close(); err != nil {
			t.Fatal(err)
		}
		c.groups[g] = group
	}
	return c
}

// Store returns a store over the partitions.
func (c *Cluster) Store(options ...Option) *mailstore.Store {
	config := mailstore.Config{
		Proposer: c,
		Replica: func(g cluster.GroupID) (mailstore.Replica, error) {
			if group := c.groups[g]; group != nil {
				return group, nil
			}
			return nil, cluster.ErrNoReplica
		},
		Feed: func(g cluster.GroupID) (mailstore.Feed, error) {
			if group := c.groups[g]; group != nil {
				return group.Partition, nil
			}
			return nil, cluster.ErrNoReplica
		},
		Locate: func(a index.AccountID) (cluster.GroupID, error) {
			if a == 0 {
				return 0, index.ErrNoAccount
			}
			return 1 + cluster.GroupID(a%Partitions), nil
		},
	}
	for _, o := range options {
		o(&config)
	}
	return mailstore.New(config)
}

// Fail makes every proposal from now on answer err, as cluster.ErrUnavailable of a node in a
// minority; nil ends that.
func (c *Cluster) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = err
}

// Flush writes what is applied to the (in-memory) disk, as a node does from time to time.
func (c *Cluster) Flush() error { return c.db.Flush() }

// Cached returns the octets in Pebble's block cache, which are on the heap of the test.
func (c *Cluster) Cached() int64 { return c.db.Metrics().BlockCache.Size }

// Group returns one partition.
func (c *Cluster) Group(g cluster.GroupID) *Group { return c.groups[g] }

// Propose implements mailstore.Proposer.
func (c *Cluster) Propose(ctx context.Context, g cluster.GroupID, cmd command.Command) ([]byte, cluster.LogIndex, error) {
	c.mu.Lock()
	down := c.down
	c.mu.Unlock()
	if down == nil {
		down = ctx.Err()
	}
	if down != nil {
		return nil, 0, down
	}
	return c.groups[g].apply(cmd.Append(nil))
}

// Group is one partition: its keys, and its log of which only the last index is kept.
type Group struct {
	Partition *partition.Partition

	state   *state.Group
	machine cluster.StateMachine

	mu   sync.Mutex
	last cluster.LogIndex // guarded by mu
}

var _ mailstore.Replica = (*Group)(nil)

// Snapshot implements mailstore.Replica.
func (g *Group) Snapshot() kv.Snapshot { return g.state.Snapshot() }

// WaitApplied implements mailstore.Replica: what was proposed is applied.
func (g *Group) WaitApplied(ctx context.Context, _ cluster.LogIndex) error { return ctx.Err() }

// Replace replaces the state by its own copy, as when a leader sends one to a replica that is far
// behind: snapshots that were taken before cannot be read any more.
func (g *Group) Replace(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	stream, err := g.state.Export()
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := g.state.Import(ctx, stream); err != nil {
		return err
	}
	snap := g.state.Snapshot()
	defer snap.Close()
	return g.machine.Restored(snap)
}

func (g *Group) apply(data []byte) ([]byte, cluster.LogIndex, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.state.NewBatch()
	defer b.Close()
	results, err := g.machine.Apply(b, []cluster.Entry{{Index: g.last + 1, Data: data}})
	if err != nil {
		return nil, 0, fmt.Errorf("apply: %w", err)
	}
	if err := b.Commit(g.last + 1); err != nil {
		return nil, 0, err
	}
	g.last++
	g.machine.Committed(g.last)
	return results[0], g.last, nil
}
