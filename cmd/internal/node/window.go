package node

import (
	"context"
	"errors"
	"net"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/rpc"
	"github.com/rookery-mail/rookery/cluster/window"
	"github.com/rookery-mail/rookery/index/mailstore"
)

// serviceWindow is the raw stream on which a node reads the replicas of another.
const serviceWindow = "window"

// openWindows shows this node's replicas to the others, and theirs to this node.
func (n *Node) openWindows(life context.Context, members *rpc.Mux) {
	server := &window.Server{Find: n.source, Logger: n.log}
	members.RegisterService(serviceWindow, func(ctx context.Context, _ cluster.NodeID, conn net.Conn) { server.Serve(ctx, conn) })
	n.windows = window.New(life, window.Config{Self: n.id, Local: server, Members: n.book.members,
		Open: func(ctx context.Context, node cluster.NodeID) (net.Conn, error) {
			return n.calls.Open(ctx, node, serviceWindow)
		}})
}

// source gives a replica of this node that mail is read from.
func (n *Node) source(g cluster.GroupID) (window.Source, error) {
	r, err := n.fresh(g)
	if err != nil {
		return nil, err
	}
	if r.partition == nil { // the directory is on every node
		return nil, cluster.ErrNoReplica
	}
	return mailSource{r}, nil
}

// mailSource is a replica of a partition with its changes.
type mailSource struct{ *replica }

// Watch implements window.Source.
func (s mailSource) Watch(a cluster.AccountID) (changed <-chan struct{}, stop func()) {
	return s.partition.Watch(a)
}

// anyReplica is mailReplica, or a window onto the replicas of other nodes.
func (n *Node) anyReplica(g cluster.GroupID) (mailstore.Replica, error) {
	r, err := n.mailReplica(g)
	if errors.Is(err, cluster.ErrNoReplica) {
		return n.windows.Group(g), nil
	}
	return r, err
}

// anyFeed tells of changes wherever the replicas are, and go to.
func (n *Node) anyFeed(g cluster.GroupID) (mailstore.Feed, error) { return n.windows.Group(g), nil }
