// Package harness runs a cluster of real rookery processes on loopback, for the demo, the chaos run
// and the stories with real clients. It knows the product only as an operator and a mail client do:
// by its command line, its admin socket, SMTP and IMAP.
//
// Every node has a loopback address of its own (127.30.X.N), so that all nodes use the same fixed
// ports and a proxy can tell callers apart. X is chosen so that runs side by side do not meet. With
// Config.Proxied the nodes reach each other through proxies at 127.31.X.N, which Network cuts.
//
// It is not a load generator and not a test framework: it makes no assertion of its own.
package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Config says which cluster to run.
type Config struct {
	Binary     string // path of the rookery binary
	Nodes      int    // 1 to 9; 0 is 3
	Partitions int    // 0 is what `rookery init` takes by itself
	Dir        string // where data and logs go; empty is a new temporary directory that Close removes
	Domain     string // the nodes are mx1.Domain and so on; empty is example.org
	Proxied    bool   // nodes reach each other through proxies, so that Network can cut them off
	Detached   bool   // nodes outlive this process unless Close ends them; not with Proxied
	// ExtraTOML is put at the top of every node's rookery.toml, before the first table.
	ExtraTOML string
	// Progress gets a line for each step; nil is silence.
	Progress func(format string, args ...any)
}

// Cluster is a set of nodes in one directory. Close ends all of its processes.
type Cluster struct {
	cfg       Config
	nodes     []*Node
	network   *Network
	addresses *addresses
	spawner   *spawner
	temporary bool
	released  bool
	keepFiles bool
}

// New makes the directory, the configurations and the proxies; no node runs yet.
func New(cfg Config) (*Cluster, error) {
	if cfg.Nodes == 0 {
		cfg.Nodes = 3
	}
	if cfg.Domain == "" {
		cfg.Domain = "example.org"
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string, ...any) {}
	}
	if cfg.Nodes < 1 || cfg.Nodes > 9 {
		return nil, fmt.Errorf("a cluster of %d nodes: 1 to 9 are possible", cfg.Nodes)
	}
	if cfg.Detached && cfg.Proxied {
		return nil, errors.New("a detached cluster cannot have proxies: they end with this process")
	}
	binary, err := filepath.Abs(cfg.Binary)
	if err != nil {
		return nil, fmt.Errorf("find the binary: %w", err)
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("find the binary (make build makes it): %w", err)
	}
	cfg.Binary = binary
	c := &Cluster{cfg: cfg}
	if err := c.prepare(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) prepare() (err error) {
	if c.cfg.Dir == "" {
		if c.cfg.Dir, err = os.MkdirTemp("", "rookery-"); err != nil {
			return fmt.Errorf("make a directory for the cluster: %w", err)
		}
		c.temporary = true
	}
	if c.cfg.Dir, err = filepath.Abs(c.cfg.Dir); err != nil {
		return fmt.Errorf("find the cluster's directory: %w", err)
	}
	if c.addresses, err = claimAddresses(c.cfg.Nodes); err != nil {
		return err
	}
	c.spawner = newSpawner(c.cfg.Detached)
	for i := 1; i <= c.cfg.Nodes; i++ {
		n := &Node{cluster: c, number: i, Name: fmt.Sprintf("n%d", i), Region: string(rune('a' + i - 1)),
			Hostname: fmt.Sprintf("mx%d.%s", i, c.cfg.Domain), Dir: filepath.Join(c.cfg.Dir, fmt.Sprintf("n%d", i))}
		if err := n.writeConfig(); err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	if c.cfg.Proxied {
		c.network, err = newNetwork(c.addresses, c.nodes)
	}
	return err
}

// Dir is where the nodes' data and logs are.
func (c *Cluster) Dir() string { return c.cfg.Dir }

// Nodes are all nodes, running or not, the first one made by init.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// Node gives a node by name, nil where there is none.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// Network cuts nodes off; nil unless Config.Proxied.
func (c *Cluster) Network() *Network { return c.network }

// Start makes the cluster as an operator does: init and serve on the first node, then a token, join
// and serve for each of the others. It returns when every node is ready and every group has its
// replicas.
func (c *Cluster) Start(ctx context.Context) error {
	first := c.nodes[0]
	args := []string{"init"}
	if c.cfg.Partitions > 0 {
		args = append(args, "--partitions", fmt.Sprint(c.cfg.Partitions))
	}
	if _, err := first.Run(ctx, "", args...); err != nil {
		return fmt.Errorf("make the cluster: %w", err)
	}
	if err := first.Start(); err != nil {
		return err
	}
	if err := first.WaitReady(ctx); err != nil {
		return err
	}
	c.cfg.Progress("node %s made the cluster and serves", first.Name)
	for _, n := range c.nodes[1:] {
		if err := c.join(ctx, n, first); err != nil {
			return fmt.Errorf("join %s: %w", n.Name, err)
		}
		c.cfg.Progress("node %s joined", n.Name)
	}
	return c.WaitWhole(ctx)
}

func (c *Cluster) join(ctx context.Context, n, member *Node) error {
	var token struct {
		Token string `json:"token"`
	}
	if err := member.JSON(ctx, &token, "token", "create"); err != nil {
		return err
	}
	if _, err := n.Run(ctx, "", "join", "--token", token.Token, member.advertised()); err != nil {
		return err
	}
	if err := n.Start(); err != nil {
		return err
	}
	return n.WaitReady(ctx)
}

// Release makes Close leave the running nodes and their directory behind. It is for detached
// clusters.
func (c *Cluster) Release() { c.released = true }

// KeepFiles makes Close leave the directory behind, for somebody to look into.
func (c *Cluster) KeepFiles() { c.keepFiles = true }

// Stop ends all nodes in order, as an operator would: SIGTERM, and waits for each.
func (c *Cluster) Stop(ctx context.Context) error {
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.Stop(ctx))
	}
	return errors.Join(errs...)
}

// Close kills what still runs, removes a temporary directory and frees the addresses. It may be
// called more than once.
func (c *Cluster) Close() {
	if !c.released {
		for _, n := range c.nodes {
			n.Kill()
		}
	}
	if c.network != nil {
		c.network.close()
	}
	if c.spawner != nil {
		c.spawner.close()
		c.spawner = nil
	}
	if c.addresses != nil {
		c.addresses.release()
	}
	if c.temporary && !c.released && !c.keepFiles {
		_ = os.RemoveAll(c.cfg.Dir) // a rest in the temporary directory harms nobody
	}
}

// poll calls f every interval until it returns nil or ctx ends; then it gives the last error that f had
// before that.
func poll(ctx context.Context, interval time.Duration, f func() error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var last error
	for {
		err := f()
		if err == nil {
			return nil
		}
		var final *finalError
		if errors.As(err, &final) {
			return final.err
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		case <-ticker.C:
		}
	}
}

// finalError ends a poll at once.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
