package clustertest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/router"
	"github.com/rookery-mail/rookery/cluster/rpc"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/cluster/transport"
)

// Node is one running node: it is made anew at each start, over the disk of the one before.
type Node struct {
	ID        cluster.NodeID
	Mux       *rpc.Mux
	Client    *rpc.Client
	Router    *router.Router
	Transport *transport.Transport
	State     *state.DB
	Logs      *raftlog.DB

	cluster *Cluster
	disk    *disk
	crashed atomic.Bool
	gone    context.Context // ends with the node, so that proposals through it do not outlive it
	leave   context.CancelFunc
	serving sync.WaitGroup

	mu     sync.Mutex // guards groups
	groups map[cluster.GroupID]*group.Group
}

// open starts a node over a disk, with every group.
func (c *Cluster) open(id cluster.NodeID, d *disk) (*Node, error) {
	logger := c.cfg.Logger.With("node", string(id))
	n := &Node{ID: id, cluster: c, disk: d, groups: map[cluster.GroupID]*group.Group{}}
	n.gone, n.leave = context.WithCancel(context.Background())
	var err error
	if n.Logs, err = raftlog.Open("log", raftlog.Config{FS: d, Logger: logger, SpaceEvery: time.Millisecond}); err != nil {
		return nil, err
	}
	if n.State, err = state.Open("state", state.Config{FS: d, Logger: logger, CacheBytes: 8 << 20}); err != nil {
		return nil, errors.Join(err, n.Logs.Close())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, n.State.Close(), n.Logs.Close())
	}
	n.connect(listener, logger)
	for _, g := range c.groups() {
		if err := n.openGroup(g, logger); err != nil {
			n.end(canceled())
			return nil, err
		}
	}
	// Only now may others call: a replica that is not there yet would be taken for one that fails.
	c.network.attach(id, listener.Addr().String())
	return n, nil
}

// connect builds the network side.
func (n *Node) connect(listener net.Listener, logger *slog.Logger) {
	c := n.cluster
	n.Transport = transport.New(context.Background(), transport.Config{
		Self: n.ID, Identity: c.identities[n.ID], Listener: listener, Resolve: c.network.resolve,
		Dial: c.network.dialer(n.ID), SetupTimeout: 2 * time.Second, Logger: logger,
	})
	dial := func(kind transport.Kind) rpc.Dialer {
		return func(ctx context.Context, node cluster.NodeID) (net.Conn, error) {
			return n.Transport.Dial(ctx, node, kind)
		}
	}
	n.Mux = rpc.NewMux(rpc.MaxFrame, logger)
	n.Client = rpc.NewClient(rpc.ClientConfig{Self: n.ID, Local: n.Mux, DialCalls: dial(transport.KindRPC), DialStreams: dial(transport.KindStream)})
	n.Router = router.New(router.Config{
		Self: n.ID, Caller: n.Client, Clock: time.Now, Random: rand.Reader, Patience: c.cfg.Patience,
		Local: func(g cluster.GroupID) (router.Group, bool) {
			replica, ok := n.Group(g)
			return replica, ok
		},
		Members: func(cluster.GroupID) []cluster.NodeID { return c.IDs() },
	})
	n.Router.Serve(n.Mux)
	n.Transport.Handle(transport.KindRPC, n.Mux.ServeCalls)
	n.Transport.Handle(transport.KindStream, n.Mux.ServeStreams)
	n.serving.Go(func() { _ = n.Transport.Serve() })
}

func (n *Node) openGroup(id cluster.GroupID, logger *slog.Logger) error {
	network, err := n.Transport.Raft(id)
	if err != nil {
		return err
	}
	g, err := group.Open(context.Background(), group.Config{
		ID: id, Node: n.ID, Logs: n.Logs, State: n.State, Machine: n.cluster.cfg.Machine(n.ID, id),
		Transport: network, Timing: n.cluster.cfg.Timing, Limits: n.cluster.cfg.Limits,
		Dir: "snapshots", FS: n.disk, Logger: logger,
	})
	if err != nil {
		return errors.Join(err, network.Close())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups[id] = g
	return nil
}

// Group is the node's replica of a group, ok false while it is not open.
func (n *Node) Group(id cluster.GroupID) (g *group.Group, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	g, ok = n.groups[id]
	return g, ok
}

// Propose has a command executed through this node's router. An answer that the node finds after
// its crash is not an answer.
func (n *Node) Propose(ctx context.Context, g cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.gone, cancel)()
	result, index, err := n.Router.Propose(ctx, g, c)
	if n.crashed.Load() {
		return nil, 0, fmt.Errorf("node %s crashed: %w", n.ID, cluster.ErrUnavailable)
	}
	return result, index, err
}

// SetFree sets how many bytes the node's disk says are free.
func (n *Node) SetFree(bytes uint64) { n.disk.free.Store(bytes) }

// end stops everything in the reverse order of start. A canceled ctx stops as a crash would.
func (n *Node) end(ctx context.Context) {
	if ctx.Err() != nil {
		n.leave()
	}
	defer n.leave()
	var closing sync.WaitGroup
	n.mu.Lock()
	for _, g := range n.groups {
		closing.Go(func() {
			if err := g.Close(ctx); err != nil {
				n.cluster.t.Errorf("close %v of %s: %v", g.ID(), n.ID, err)
			}
		})
	}
	n.mu.Unlock()
	closing.Wait()
	_ = n.Client.Close()
	_ = n.Transport.Close()
	n.serving.Wait()
	if err := errors.Join(n.State.Close(), n.Logs.Close()); err != nil {
		n.cluster.t.Errorf("close the disks of %s: %v", n.ID, err)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
