package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/raftlog"
)

// assignEvery is how often a node looks whether its replicas are those of the map, when nothing
// wakes it.
const assignEvery = 2 * time.Second

// assign runs as long as the node: it opens replicas that the partition map gives this node, and
// drops those that the map and the group have taken from it.
func (n *Node) assign(ctx context.Context) {
	changed, stop := n.directory.Watch()
	defer stop()
	tick := time.NewTicker(assignEvery)
	defer tick.Stop()
	for {
		if err := n.assignOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("could not bring the replicas of this node in line with the map", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

func (n *Node) assignOnce(ctx context.Context) error {
	nodes, pm, err := n.membersAndMap()
	if errors.Is(err, directory.ErrNotInitialised) {
		return nil
	}
	if err != nil {
		return err
	}
	n.book.update(nodes, pm)
	var errs []error
	for _, r := range pm.Groups {
		if r.Group != cluster.DirectoryGroup {
			errs = append(errs, n.assignGroup(ctx, r))
		}
	}
	return errors.Join(errs...)
}

// assignGroup brings one partition on this node in line with its row of the map.
func (n *Node) assignGroup(ctx context.Context, r directory.Replicas) error {
	wanted := slices.Contains(r.Nodes, n.id)
	rebuild := n.marked(r.Group)
	open, err := n.host.get(r.Group)
	switch {
	case rebuild && wanted:
		return n.rejoin(ctx, r.Group)
	case rebuild:
		return n.unmark(r.Group)
	case wanted && err != nil:
		if errors.As(err, new(*raftlog.CorruptError)) {
			return nil // status tells the operator; trying again would not help
		}
		_, err := n.host.open(ctx, r.Group)
		return err
	case !wanted && err == nil:
		return n.release(ctx, open)
	case wanted && errors.Is(open.Err(), group.ErrRemoved):
		// Taken out and wanted again: what is here is of an old membership.
		return n.dropMarked(ctx, r.Group)
	}
	return nil
}

// release drops a replica once the group's leader says that this node is no member any more.
func (n *Node) release(ctx context.Context, r *replica) error {
	if !errors.Is(r.Err(), group.ErrRemoved) {
		member, err := n.stillMember(ctx, r.ID())
		if err != nil || member {
			return err
		}
	}
	n.log.Info("dropping a replica that went elsewhere", "group", r.ID().String())
	return n.dropMarked(ctx, r.ID())
}

// dropMarked drops a replica under a mark, so that a crash half way is finished at the next start.
func (n *Node) dropMarked(ctx context.Context, g cluster.GroupID) error {
	if err := mark(n.layout, g); err != nil {
		return err
	}
	if err := n.host.drop(ctx, g); err != nil {
		return err
	}
	return n.unmark(g)
}

// methodMember asks a group's leader whether the caller is a member.
const methodMember = "node.member"

func (n *Node) stillMember(ctx context.Context, g cluster.GroupID) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := json.Marshal(g)
	if err != nil {
		return false, err
	}
	data, err := n.router.CallLeader(ctx, g, methodMember, request)
	if err != nil {
		return false, err
	}
	var member bool
	return member, json.Unmarshal(data, &member)
}

func (n *Node) serveMember(ctx context.Context, peer cluster.NodeID, request []byte) ([]byte, error) {
	r, err := n.leading(request)
	if err != nil {
		return nil, err
	}
	if err := r.Barrier(ctx); err != nil {
		return nil, err
	}
	isPeer := func(m group.Member) bool { return m.ID == peer }
	return json.Marshal(slices.ContainsFunc(r.Members(), isPeer))
}

// leading reads a group from a request and returns its replica if that one leads.
func (n *Node) leading(request []byte) (*replica, error) {
	var g cluster.GroupID
	if err := json.Unmarshal(request, &g); err != nil {
		return nil, fmt.Errorf("read the group: %w", err)
	}
	return n.leader(g)
}

// leader returns this node's replica of a group if that one leads, or else cluster.ErrNotLeader or
// cluster.ErrNoReplica: what a method for router.CallLeader begins with.
func (n *Node) leader(g cluster.GroupID) (*replica, error) {
	r, err := n.host.get(g)
	if err != nil {
		return nil, err
	}
	if !r.IsLeader() {
		return nil, fmt.Errorf("%v: %w", g, cluster.ErrNotLeader)
	}
	return r, nil
}
