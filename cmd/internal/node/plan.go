package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/placement"
)

// planEvery is how often the directory's leader looks whether the partition map fits the nodes, when
// nothing wakes it.
const planEvery = 5 * time.Second

// plan is the leader work of the directory beside reconcile: it keeps the partition map what
// cluster/placement makes of the nodes.
func (n *Node) plan(ctx context.Context) {
	changed, stop := n.directory.Watch()
	defer stop()
	tick := time.NewTicker(planEvery)
	defer tick.Stop()
	for {
		if err := n.planOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("could not plan where the partitions go", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

func (n *Node) planOnce(ctx context.Context) error {
	var (
		nodes    []directory.Node
		pm       directory.PartitionMap
		settings directory.Settings
		made     directory.Cluster
	)
	err := n.view(func(v directory.View) (err error) {
		if made, err = v.Cluster(); err != nil {
			return err
		}
		if nodes, err = v.Nodes(); err != nil {
			return err
		}
		if pm, err = v.PartitionMap(); err != nil {
			return err
		}
		settings, err = v.Settings()
		return err
	})
	if errors.Is(err, directory.ErrNotInitialised) {
		return nil
	}
	if err != nil {
		return err
	}
	current := assignments(made.Partitions, pm)
	changes := changed(current, placement.Place(planned(nodes), settings.ReplicationFactor, current))
	if len(changes) == 0 {
		// Evening out comes after everything is where it must be, a few partitions at a time.
		if n.settled(ctx, pm) {
			changes = changed(current, placement.Balance(planned(nodes), settings.ReplicationFactor, current, 2))
		}
		if len(changes) == 0 {
			return nil
		}
	}
	c, err := directory.PutPartitionMap(pm.Version, changes...)
	if err != nil {
		return err
	}
	if _, err := n.proposeDirectory(ctx, c); err != nil && !errors.Is(err, directory.ErrConflict) {
		return fmt.Errorf("store the partition map: %w", err)
	}
	n.log.Info("the partition map changed", "groups", len(changes))
	return nil
}

// settled reports whether every partition's voters are those of the map, as far as can be seen from
// here: an unreachable node means no.
func (n *Node) settled(ctx context.Context, pm directory.PartitionMap) bool {
	nodes, _, err := n.membersAndMap()
	if err != nil {
		return false
	}
	reports := n.reports(ctx, nodes)
	for _, member := range nodes {
		if _, ok := reports[member.ID]; !ok && member.State != directory.NodeRemoved {
			return false
		}
	}
	for _, r := range pm.Groups {
		s := n.groupStatus(r.Group, pm, reports)
		if s.Leader == "" || len(s.Voters) != len(r.Nodes) || len(s.Nonvoters) > 0 {
			return false
		}
		for _, id := range r.Nodes {
			if !slices.Contains(s.Voters, string(id)) {
				return false
			}
		}
	}
	return true
}

// assignments gives the map in the planner's words, with a row for every partition.
func assignments(partitions int, pm directory.PartitionMap) []placement.Assignment {
	out := make([]placement.Assignment, 0, partitions)
	for g := cluster.GroupID(1); int(g) <= partitions; g++ {
		a := placement.Assignment{Group: g}
		if nodes := pm.Of(g); len(nodes) > 0 {
			a.Preferred = nodes[0]
			a.Replicas = slices.Sorted(slices.Values(nodes))
		}
		out = append(out, a)
	}
	return out
}

// changed gives the rows of the map that a plan changes, the preferred leader first in each.
func changed(current, target []placement.Assignment) []directory.Replicas {
	var out []directory.Replicas
	for i, a := range target {
		if a.Equal(current[i]) || len(a.Replicas) == 0 {
			continue
		}
		nodes := []cluster.NodeID{a.Preferred}
		for _, id := range a.Replicas {
			if id != a.Preferred {
				nodes = append(nodes, id)
			}
		}
		out = append(out, directory.Replicas{Group: a.Group, Nodes: nodes})
	}
	return out
}
