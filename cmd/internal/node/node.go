// Package node joins everything into one running node: it reads the data directory, opens the
// databases, the network and the replicas, starts the doors, and stops all of it in reverse. It also
// holds the loops that bring a node and a group to what the directory says. What is decided in them
// is decided by the cores: cluster/placement, cluster/directory, index/mailbox.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/certs"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/membership"
	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/router"
	"github.com/rookery-mail/rookery/cluster/rpc"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/cluster/transport"
	"github.com/rookery-mail/rookery/cmd/internal/config"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// Options is what a node is run with beside its configuration.
type Options struct {
	Version string
	Logger  *slog.Logger
}

// Node is a running node.
type Node struct {
	cfg    config.Config
	opts   Options
	log    *slog.Logger
	layout layout
	record record
	id     cluster.NodeID

	identity  *certs.Identity
	logs      *raftlog.DB
	state     *state.DB
	book      *book
	directory *directory.Machine
	transport *transport.Transport
	calls     *rpc.Client
	router    *router.Router
	host      *host
	store     *mailstore.Store
	gossip    atomic.Pointer[membership.Gossip] // nil until it is started
	counters  *counters

	smtp        *smtpd.Server // these three from when mail is served
	imap        *imapd.Server
	remoteAdmin *http.Server

	cleanup []step         // in the order of start; run backwards by stop
	loops   sync.WaitGroup // what brings the node to what the directory says; ended by onStop
	servers sync.WaitGroup // accept loops; each ends when its listener is closed

	mu    sync.Mutex
	doors bool // guarded by mu: mail is being served
}

// step undoes one thing that start did.
type step struct {
	name string
	undo func(ctx context.Context) error
}

// Patience of the stop's steps.
const (
	stopTimeout = 30 * time.Second
	stepTimeout = 10 * time.Second
)

// Serve runs the node until ctx ends, and then stops it gracefully.
func Serve(ctx context.Context, cfg config.Config, opts Options) error {
	n := &Node{cfg: cfg, opts: opts, log: opts.Logger, layout: layout{cfg.DataDir}, id: cluster.NodeID(cfg.Node)}
	err := n.start(ctx)
	if err == nil {
		n.log.Info("the node serves", "node", cfg.Node, "cluster", n.record.Cluster, "version", opts.Version)
		<-ctx.Done()
		n.log.Info("stopping")
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(err, n.stop(stopping))
}

// onStop remembers how to undo what was just done.
func (n *Node) onStop(name string, undo func(context.Context) error) {
	n.cleanup = append(n.cleanup, step{name, undo})
}

// stop undoes the start in reverse: doors first, then leadership, then the disks. Each step has its
// own deadline, so that one that hangs does not keep the next from running.
func (n *Node) stop(ctx context.Context) error {
	var errs []error
	for i := len(n.cleanup) - 1; i >= 0; i-- {
		s := n.cleanup[i]
		stepCtx, cancel := context.WithTimeout(ctx, stepTimeout)
		if err := within(stepCtx, s.undo); errors.Is(err, errHangs) {
			cancel()
			return errors.Join(append(errs, fmt.Errorf("stop %s: %w", s.name, err))...)
		} else if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
		cancel()
	}
	n.servers.Wait()
	return errors.Join(errs...)
}

// errHangs says that a step of the stop did not even heed its deadline, as when a disk refuses to be
// written. What comes after it would touch what it still uses: the process ends as if it was killed.
var errHangs = errors.New("it does not end, the rest is left as it is")

// hangAfter is how long a step may take on top of its deadline.
const hangAfter = 5 * time.Second

// within runs a step of the stop, and leaves it behind when it hangs.
func within(ctx context.Context, undo func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- undo(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(hangAfter):
		return errHangs
	}
}

// start brings the node up; what it did before an error is undone by stop.
func (n *Node) start(ctx context.Context) (err error) {
	for _, part := range []struct {
		name  string
		start func(context.Context) error
	}{
		{"data directory", n.openDirectory},
		{"databases", n.openDatabases},
		{"network", n.openNetwork},
		{"admin API", n.openAdmin},
		{"replicas", n.openReplicas},
		{"gossip", n.openGossip},
		{"mail doors", n.openDoors},
	} {
		if err := part.start(ctx); err != nil {
			return fmt.Errorf("start the %s: %w", part.name, err)
		}
	}
	return nil
}

// openDirectory locks the data directory and reads who the node is.
func (n *Node) openDirectory(context.Context) (err error) {
	if n.record, err = readRecord(n.cfg); err != nil {
		return err
	}
	unlock, err := lockDir(n.cfg)
	if err != nil {
		return err
	}
	n.onStop("the lock", func(context.Context) error { unlock(); return nil })
	chain, err := os.ReadFile(n.layout.certificate())
	if err != nil {
		return fmt.Errorf("read the node's certificate: %w", err)
	}
	key, err := os.ReadFile(n.layout.key())
	if err != nil {
		return fmt.Errorf("read the node's key: %w", err)
	}
	if n.identity, err = certs.NewIdentity(chain, key, time.Now); err != nil {
		return err
	}
	n.book = newBook(n.record.peers())
	n.counters = newCounters(n)
	return nil
}

// openDatabases opens the log and the state. Damage is said in words that tell what to do.
func (n *Node) openDatabases(context.Context) (err error) {
	if n.logs, err = raftlog.Open(n.layout.logs(), raftlog.Config{Logger: n.log, ReserveBytes: n.cfg.Cluster.MinFreeBytes}); err != nil {
		return err
	}
	n.onStop("the log", func(context.Context) error { return n.logs.Close() })
	if n.state, err = state.Open(n.layout.state(), state.Config{Logger: n.log, CacheBytes: n.cfg.Cluster.CacheBytes}); err != nil {
		return err
	}
	n.onStop("the state", func(context.Context) error { return n.state.Close() })
	return nil
}

// openReplicas opens every replica that this node holds and starts the loops that keep them right. A
// replica that cannot be opened is said in the log and the status; the others serve.
func (n *Node) openReplicas(ctx context.Context) error {
	if err := os.MkdirAll(n.layout.snapshots(), 0o700); err != nil {
		return fmt.Errorf("make the directory of snapshots: %w", err)
	}
	n.onStop("the replicas", n.host.close)
	if err := n.dropAllMarked(ctx); err != nil {
		return err
	}
	groups, err := n.logs.Groups()
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g == cluster.DirectoryGroup || n.marked(g) {
			continue
		}
		if _, err := n.host.open(ctx, g); err != nil {
			n.log.Error("a replica of this node cannot be used", "group", g.String(), "error", err)
		}
	}
	loops, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.onStop("the loops", func(context.Context) error { cancel(); n.loops.Wait(); return nil })
	if n.marked(cluster.DirectoryGroup) {
		n.loops.Go(func() { n.rejoinDirectory(loops) })
	} else if _, err := n.host.open(ctx, cluster.DirectoryGroup); err != nil {
		return err
	}
	n.loops.Go(func() { n.assign(loops) })
	n.loops.Go(func() { n.announce(loops) })
	return nil
}

// beside runs beside each open replica: it sees it catch up, and does the work of its leader.
func (n *Node) beside(ctx context.Context, r *replica) {
	var catching sync.WaitGroup
	catching.Go(func() { n.catchUp(ctx, r) })
	defer catching.Wait()
	g := r.Group
	err := g.WhileLeader(ctx, func(ctx context.Context, term uint64) {
		n.log.Info("leading", "group", g.ID().String(), "term", term)
		var work sync.WaitGroup
		work.Go(func() { n.reconcile(ctx, g) })
		if g.ID() == cluster.DirectoryGroup {
			work.Go(func() { n.plan(ctx) })
		} else {
			work.Go(func() { n.maintain(ctx, g.ID()) })
		}
		work.Wait()
	})
	if err != nil && ctx.Err() == nil {
		n.log.Error("a replica stopped", "group", g.ID().String(), "error", err)
	}
}

// maintainEvery is how often a partition's leader looks for what deleted mailboxes and unfinished
// uploads left behind.
const maintainEvery = time.Minute

// maintain frees what nobody uses any more, as leader work of a partition.
func (n *Node) maintain(ctx context.Context, g cluster.GroupID) {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := n.store.Maintain(ctx, g, time.Now()); err != nil && ctx.Err() == nil {
			n.log.Warn("could not free what is no longer used", "group", g.String(), "error", err)
		}
	}
}

// announce tells the directory when this node's facts differ from what it says, after a move or an
// upgrade, and keeps the peers in the node's record fresh.
func (n *Node) announce(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		if err := n.announceOnce(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, directory.ErrNotInitialised) {
			n.log.Warn("could not tell the directory about this node", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *Node) announceOnce(ctx context.Context) error {
	nodes, _, err := n.membersAndMap()
	if err != nil {
		return err
	}
	peers := map[string]string{}
	is, want := directory.Node{}, self(n.cfg, n.opts.Version)
	for _, m := range nodes {
		if m.ID == n.id {
			is = m
		}
		if m.State != directory.NodeRemoved {
			peers[string(m.ID)] = m.ClusterAddress
		}
	}
	if len(peers) > 0 && !maps.Equal(peers, n.record.Peers) {
		n.record.Peers = peers
		if err := saveRecord(n.layout, n.record); err != nil {
			return err
		}
	}
	want.State, want.Joined, want.CertificateSerial = is.State, is.Joined, is.CertificateSerial
	if is == want || is.ID == "" {
		return nil
	}
	c, err := directory.UpdateNode(n.id, directory.NodeChange{Region: &want.Region, ClusterAddress: &want.ClusterAddress,
		GossipAddress: &want.GossipAddress, AdminAddress: &want.AdminAddress, Version: &want.Version})
	return n.change(ctx, c, err)
}

// view reads the directory of this node, at one moment.
func (n *Node) view(read func(directory.View) error) error {
	r, err := n.host.get(cluster.DirectoryGroup)
	if err != nil {
		return err
	}
	snapshot := r.Snapshot()
	defer snapshot.Close()
	return read(directory.View{R: snapshot})
}

// membersAndMap reads the nodes and where the groups are; directory.ErrNotInitialised until the
// directory is here.
func (n *Node) membersAndMap() (nodes []directory.Node, pm directory.PartitionMap, err error) {
	err = n.view(func(v directory.View) error {
		if _, err := v.Cluster(); err != nil {
			return err
		}
		if nodes, err = v.Nodes(); err != nil {
			return err
		}
		pm, err = v.PartitionMap()
		return err
	})
	return nodes, pm, err
}

// serving returns why mail is not served, or nil.
func (n *Node) serving() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.doors {
		return errors.New("the mail doors are not open yet")
	}
	return nil
}
