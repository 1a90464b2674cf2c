// Package clustertest runs several nodes in one test process, over real loopback sockets with mTLS
// and memory disks that can lose what was not synced: nodes are cut off, delayed, crashed and
// restarted, and their replicas compared. It is for tests of what runs on a cluster; programs
// assemble nodes in cmd/internal/node.
package clustertest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/certs"
	"github.com/rookery-mail/rookery/cluster/group"
)

// Config says what to run. Machine is required.
type Config struct {
	// Nodes are the names; nil is a, b, c.
	Nodes []cluster.NodeID
	// Voters are the nodes that hold every group at the start; nil is all nodes.
	Voters []cluster.NodeID
	// Groups is how many groups run, numbered from 1; zero is 1.
	Groups int
	// Machine makes the state machine of a replica, at each start of its node.
	Machine func(node cluster.NodeID, g cluster.GroupID) cluster.StateMachine
	// Timing is of all groups; the zero value is Fast().
	Timing group.Timing
	Limits group.Limits
	// Patience is that of the routers; zero is the router's default.
	Patience time.Duration
	Logger   *slog.Logger // nil means no log
}

// Fast is a timing for tests: a failover takes less than a second. It leaves room for machines that
// are busy with other tests: a shorter lease would be lost to the scheduler.
func Fast() group.Timing {
	return group.Timing{Heartbeat: 500 * time.Millisecond, Election: 500 * time.Millisecond,
		Lease: 400 * time.Millisecond, Commit: 10 * time.Millisecond}
}

// Cluster is what a test works with. Its methods fail the test where they cannot do what they say.
type Cluster struct {
	t          testing.TB
	cfg        Config
	network    *network
	identities map[cluster.NodeID]*certs.Identity

	mu    sync.Mutex // guards what follows
	nodes map[cluster.NodeID]*Node
	disks map[cluster.NodeID]*disk // of nodes that do not run
}

// Start runs a cluster until the test ends. Every group has its voters when it returns.
func Start(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	if cfg.Nodes == nil {
		cfg.Nodes = []cluster.NodeID{"a", "b", "c"}
	}
	if cfg.Voters == nil {
		cfg.Voters = cfg.Nodes
	}
	if cfg.Timing == (group.Timing{}) {
		cfg.Timing = Fast()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Groups = max(cfg.Groups, 1)
	c := &Cluster{
		t: t, cfg: cfg, network: newNetwork(), identities: identities(t, cfg.Nodes),
		nodes: map[cluster.NodeID]*Node{}, disks: map[cluster.NodeID]*disk{},
	}
	t.Cleanup(c.stop)
	for _, id := range cfg.Nodes {
		c.disks[id] = newDisk(vfs.NewCrashableMem())
		c.Restart(id)
	}
	for _, g := range c.groups() {
		first, _ := c.Node(cfg.Voters[0]).Group(g)
		if err := first.Bootstrap(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var growing sync.WaitGroup
	for _, g := range c.groups() {
		growing.Go(func() {
			if err := c.Move(t.Context(), g, cfg.Voters...); err != nil {
				t.Error(err)
			}
		})
	}
	growing.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, g := range c.groups() {
		c.settle(g)
	}
	return c
}

// settle waits until every voter of a group knows that all of them vote: one that has not heard of the
// last change yet would refuse its vote to the others, and a leader that dies just then would leave no
// majority that can elect.
func (c *Cluster) settle(g cluster.GroupID) {
	c.t.Helper()
	c.Eventually(fmt.Sprintf("wait until all voters of %v know each other", g), func() error {
		for _, id := range c.cfg.Voters {
			replica, ok := c.Node(id).Group(g)
			if !ok {
				return fmt.Errorf("%s does not run", id)
			}
			voters := 0
			for _, m := range replica.Members() {
				if m.Voter {
					voters++
				}
			}
			if voters != len(c.cfg.Voters) {
				return fmt.Errorf("%s knows of %d voters", id, voters)
			}
		}
		return nil
	})
}

// identities makes the authority and the certificates of a cluster.
func identities(t testing.TB, nodes []cluster.NodeID) map[cluster.NodeID]*certs.Identity {
	t.Helper()
	ca, err := certs.NewCA("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	out := map[cluster.NodeID]*certs.Identity{}
	for _, id := range nodes {
		key, request, err := certs.NewNodeRequest(id)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := ca.SignNode(id, request, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if out[id], err = certs.NewIdentity(chain, key, time.Now); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// stop ends every node, when the test does. Nothing is to be kept, so nobody hands over.
func (c *Cluster) stop() {
	running := c.Running()
	for _, n := range running {
		c.network.kill(n.ID)
	}
	var ending sync.WaitGroup
	for _, n := range running {
		ending.Go(func() { n.end(canceled()) })
	}
	ending.Wait()
}

// IDs are the names of all nodes.
func (c *Cluster) IDs() []cluster.NodeID { return slices.Clone(c.cfg.Nodes) }

func (c *Cluster) groups() []cluster.GroupID {
	out := make([]cluster.GroupID, c.cfg.Groups)
	for i := range out {
		out[i] = cluster.GroupID(i + 1)
	}
	return out
}

// Node is a running node.
func (c *Cluster) Node(id cluster.NodeID) *Node {
	c.t.Helper()
	n, ok := c.running(id)
	if !ok {
		c.t.Fatalf("node %s does not run", id)
	}
	return n
}

func (c *Cluster) running(id cluster.NodeID) (*Node, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[id]
	return n, ok
}

// Running are the nodes that run, by name.
func (c *Cluster) Running() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*Node
	for _, id := range c.cfg.Nodes {
		if n, ok := c.nodes[id]; ok {
			out = append(out, n)
		}
	}
	return out
}

// Cut separates nodes: one alone from all others, or two from each other.
func (c *Cluster) Cut(a cluster.NodeID, b ...cluster.NodeID) {
	if len(b) == 0 {
		b = c.cfg.Nodes
	}
	for _, other := range b {
		if other != a {
			c.network.cut(a, other)
		}
	}
}

// Delay makes each exchange between two nodes take d longer.
func (c *Cluster) Delay(a, b cluster.NodeID, d time.Duration) { c.network.delay(a, b, d) }

// Heal ends every cut and delay.
func (c *Cluster) Heal() { c.network.heal() }

// Crash stops a node as a power loss would: what was not synced is gone, and nothing it still
// thinks gets out.
func (c *Cluster) Crash(id cluster.NodeID) {
	c.t.Helper()
	n := c.take(id)
	c.network.kill(id)
	n.crashed.Store(true)
	left := n.disk.crashed()
	n.end(canceled())
	c.keep(id, left)
}

// Stop stops a node gracefully.
func (c *Cluster) Stop(id cluster.NodeID) {
	c.t.Helper()
	n := c.take(id)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	n.end(ctx)
	c.network.kill(id)
	c.keep(id, n.disk)
}

// Wipe takes away the disk of a node that does not run.
func (c *Cluster) Wipe(id cluster.NodeID) { c.keep(id, newDisk(vfs.NewCrashableMem())) }

// Disk is the file system of a node that does not run, to be damaged.
func (c *Cluster) Disk(id cluster.NodeID) vfs.FS {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.disks[id]
}

func (c *Cluster) take(id cluster.NodeID) *Node {
	c.t.Helper()
	n := c.Node(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.nodes, id)
	return n
}

func (c *Cluster) keep(id cluster.NodeID, d *disk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disks[id] = d
}

// Restart starts a node that was stopped or crashed.
func (c *Cluster) Restart(id cluster.NodeID) {
	c.t.Helper()
	if err := c.TryRestart(id); err != nil {
		c.t.Fatalf("start node %s: %v", id, err)
	}
}

// TryRestart is Restart for a node that may refuse to start.
func (c *Cluster) TryRestart(id cluster.NodeID) error {
	c.mu.Lock()
	d, ok := c.disks[id]
	delete(c.disks, id)
	c.mu.Unlock()
	if !ok {
		return fmt.Errorf("node %s runs already", id)
	}
	n, err := c.open(id, d)
	if err != nil {
		c.keep(id, d)
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[id] = n
	return nil
}
