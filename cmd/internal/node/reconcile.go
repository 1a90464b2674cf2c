package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/placement"
)

const (
	// reconcileEvery is how often a leader holds its group against the plan.
	reconcileEvery = time.Second
	// caughtUpWithin is how many entries a member may be behind to be given a vote or leadership.
	caughtUpWithin = 200
)

// reconcile is the leader work of every group: it changes the group's members, one safe step at a
// time, until they are what the partition map says.
func (n *Node) reconcile(ctx context.Context, g *group.Group) {
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	for {
		if err := n.reconcileStep(ctx, g); err != nil && ctx.Err() == nil {
			n.log.Warn("could not change the members of a group", "group", g.ID().String(), "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// goals remembers what the directory said of nodes and groups, until it changes: each leader of a group looks every
// second.
type goals struct {
	mu      sync.Mutex // guards what follows
	replica *replica   // of the directory, nil before the first look
	applied cluster.LogIndex
	nodes   []directory.Node
	pm      directory.PartitionMap
}

// read is membersAndMap. What it returns is shared, and not to be changed.
func (k *goals) read(n *Node) ([]directory.Node, directory.PartitionMap, error) {
	r, err := n.host.get(cluster.DirectoryGroup)
	if err != nil {
		return nil, directory.PartitionMap{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	applied := r.Applied() // before it is read, so that what comes meanwhile is not missed
	if k.replica == r && k.applied == applied {
		return k.nodes, k.pm, nil
	}
	nodes, pm, err := n.membersAndMap()
	if err != nil {
		return nil, directory.PartitionMap{}, err
	}
	k.replica, k.applied, k.nodes, k.pm = r, applied, nodes, pm
	return nodes, pm, nil
}

func (n *Node) reconcileStep(ctx context.Context, g *group.Group) error {
	nodes, pm, err := n.goals.read(n)
	if errors.Is(err, directory.ErrNotInitialised) {
		return nil // the first moments of a new node
	}
	if err != nil {
		return err
	}
	members := g.Members()
	goal, ok := n.goal(g.ID(), members, nodes, pm)
	if !ok {
		return nil
	}
	if len(members) == 1 && len(goal.Voters) == 1 && len(goal.Nonvoters) == 0 && members[0].ID == goal.Voters[0] {
		return nil // a cluster of one has nobody to ask
	}
	if placement.NextStep(allCaughtUp(members), goal, n.id).Kind == placement.Done {
		return nil // nothing to change, however far the members are: nobody is asked
	}
	step := placement.NextStep(n.progress(ctx, g, members), goal, n.id)
	if step.Kind == placement.Done || step.Kind == placement.Wait {
		return nil
	}
	n.log.Info("changing a group", "group", g.ID().String(), "step", step.String())
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return n.take(ctx, g, step)
}

// take carries one step out.
func (n *Node) take(ctx context.Context, g *group.Group, step placement.Step) error {
	address, known := n.book.address(step.Node)
	switch step.Kind {
	case placement.AddNonvoter, placement.PromoteToVoter:
		if !known {
			return fmt.Errorf("%v: the address of node %s is not known", step, step.Node)
		}
		if step.Kind == placement.AddNonvoter {
			return g.AddNonvoter(ctx, step.Node, address)
		}
		return g.AddVoter(ctx, step.Node, address)
	case placement.Demote:
		return g.Demote(ctx, step.Node)
	case placement.Remove:
		return g.Remove(ctx, step.Node)
	case placement.Transfer:
		return n.transfer(ctx, g, step.Node)
	}
	return fmt.Errorf("step %v is not known", step)
}

// transfer makes another node the leader of a group, while no mail of its queue is on its way.
func (n *Node) transfer(ctx context.Context, g *group.Group, to cluster.NodeID) error {
	if r, err := n.host.get(g.ID()); err == nil && r.Group == g {
		defer r.rest(ctx)()
	}
	if err := g.TransferLeadership(ctx, to); err != nil {
		return err
	}
	select {
	case <-ctx.Done(): // with leadership; before that nothing may be claimed in its name
	case <-time.After(time.Second):
	}
	return nil
}

// goal says what a group's members are to become: for a partition what the map says, for the
// directory a copy on every node.
func (n *Node) goal(g cluster.GroupID, members []group.Member, nodes []directory.Node, pm directory.PartitionMap) (placement.Goal, bool) {
	if g == cluster.DirectoryGroup {
		var voters []cluster.NodeID
		for _, m := range members {
			if m.Voter {
				voters = append(voters, m.ID)
			}
		}
		goal := placement.PlaceDirectory(planned(nodes), voters, n.id)
		return goal, len(goal.Voters) > 0
	}
	replicas := pm.Of(g)
	if len(replicas) == 0 {
		return placement.Goal{}, false
	}
	return placement.Goal{Voters: replicas, Preferred: replicas[0]}, true
}

// allCaughtUp gives the members as they would be if each had the whole log.
func allCaughtUp(members []group.Member) []placement.Member {
	out := make([]placement.Member, 0, len(members))
	for _, m := range members {
		out = append(out, placement.Member{ID: m.ID, Voter: m.Voter, CaughtUp: true})
	}
	return out
}

// progress finds out which members have caught up, by asking them.
func (n *Node) progress(ctx context.Context, g *group.Group, members []group.Member) []placement.Member {
	last := g.Status().LastIndex
	out := make([]placement.Member, 0, len(members))
	for _, m := range members {
		caughtUp := m.ID == n.id
		if !caughtUp {
			applied, err := n.appliedAt(ctx, m.ID, g.ID())
			caughtUp = err == nil && applied+caughtUpWithin >= last
		}
		out = append(out, placement.Member{ID: m.ID, Voter: m.Voter, CaughtUp: caughtUp})
	}
	return out
}

// methodApplied asks a node how far its replica of a group is.
const methodApplied = "node.applied"

func (n *Node) appliedAt(ctx context.Context, node cluster.NodeID, g cluster.GroupID) (cluster.LogIndex, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := json.Marshal(g)
	if err != nil {
		return 0, err
	}
	data, err := n.calls.Call(ctx, node, methodApplied, request)
	if err != nil {
		return 0, err
	}
	var applied cluster.LogIndex
	return applied, json.Unmarshal(data, &applied)
}

func (n *Node) serveApplied(_ context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var g cluster.GroupID
	if err := json.Unmarshal(request, &g); err != nil {
		return nil, fmt.Errorf("read the group: %w", err)
	}
	r, err := n.host.get(g)
	if err != nil {
		return nil, err
	}
	return json.Marshal(r.Applied())
}

// planned gives the nodes in the planner's words.
func planned(nodes []directory.Node) []placement.Node {
	out := make([]placement.Node, 0, len(nodes))
	for _, m := range nodes {
		state := placement.Serving
		switch m.State {
		case directory.NodeDraining:
			state = placement.Draining
		case directory.NodeRemoved:
			state = placement.Removed
		}
		out = append(out, placement.Node{ID: m.ID, Region: m.Region, State: state})
	}
	return out
}
