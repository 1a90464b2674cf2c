package clustertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/placement"
)

// patience is how long the cluster may take for what a test waits for.
const patience = 30 * time.Second

// Eventually polls until holds returns nil, and fails the test with its last error when that takes
// too long.
func (c *Cluster) Eventually(what string, holds func() error) {
	c.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	c.t.Fatalf("%s: %v", what, err)
}

// WaitLeader waits until a running node leads a group, and returns it.
func (c *Cluster) WaitLeader(g cluster.GroupID) (leader *Node) {
	c.t.Helper()
	c.Eventually(fmt.Sprintf("wait for a leader of %v", g), func() error {
		var err error
		leader, _, err = c.leader(g)
		return err
	})
	return leader
}

// leader finds who leads with the highest term: a node behind a cut may still believe it does.
func (c *Cluster) leader(g cluster.GroupID) (*Node, *group.Group, error) {
	var node *Node
	var replica *group.Group
	var term uint64
	var seen strings.Builder // for the one who has to find out why
	for _, n := range c.Running() {
		r, ok := n.Group(g)
		if !ok {
			continue
		}
		status := r.Status()
		fmt.Fprintf(&seen, "; %s is %s in term %d, last %d, commit %d, follows %q", n.ID, status.State, status.Term,
			status.LastIndex, status.Commit, status.Leader)
		if r.IsLeader() && status.Term > term {
			node, replica, term = n, r, status.Term
		}
	}
	if node == nil {
		return nil, nil, fmt.Errorf("nobody leads %v%s", g, seen.String())
	}
	return node, replica, nil
}

// Follower is some running voter of a group that does not lead it.
func (c *Cluster) Follower(g cluster.GroupID) *Node {
	c.t.Helper()
	leader := c.WaitLeader(g)
	for _, n := range c.Running() {
		if n.ID != leader.ID {
			return n
		}
	}
	c.t.Fatalf("%v has no follower", g)
	return nil
}

// Move brings a group to the given voters and nobody else, by the steps of package placement, while
// whatever else goes on.
func (c *Cluster) Move(ctx context.Context, g cluster.GroupID, voters ...cluster.NodeID) error {
	var last error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		_, replica, err := c.leader(g)
		if err != nil {
			last = err
			continue
		}
		leader, _ := replica.Leader()
		step := placement.NextStep(c.membersOf(replica), placement.Goal{Voters: voters}, leader)
		if step.Kind == placement.Done {
			return nil
		}
		last = fmt.Errorf("%v: %w", step, c.advance(ctx, replica, step))
	}
	return fmt.Errorf("bring %v to %v: %w", g, voters, last)
}

// membersOf is a group's configuration with who has caught up.
func (c *Cluster) membersOf(leader *group.Group) []placement.Member {
	var out []placement.Member
	commit := leader.Status().Commit
	for _, m := range leader.Members() {
		caughtUp := false
		if n, ok := c.running(m.ID); ok {
			if replica, ok := n.Group(leader.ID()); ok {
				caughtUp = replica.Applied()+64 > commit
			}
		}
		out = append(out, placement.Member{ID: m.ID, Voter: m.Voter, CaughtUp: caughtUp})
	}
	return out
}

var errWaiting = errors.New("waiting")

// advance makes one step.
func (c *Cluster) advance(ctx context.Context, leader *group.Group, step placement.Step) error {
	address, _ := c.network.resolve(step.Node)
	switch step.Kind {
	case placement.AddNonvoter:
		return leader.AddNonvoter(ctx, step.Node, address)
	case placement.PromoteToVoter:
		return leader.AddVoter(ctx, step.Node, address)
	case placement.Demote:
		return leader.Demote(ctx, step.Node)
	case placement.Remove:
		return leader.Remove(ctx, step.Node)
	case placement.Transfer:
		return leader.TransferLeadership(ctx, step.Node)
	}
	return errWaiting
}

// WaitEqual waits until the replicas of a group on all running members show the same state. Nothing
// may be proposed meanwhile. Replicas that differ at the same index fail the test at once.
func (c *Cluster) WaitEqual(g cluster.GroupID) {
	c.t.Helper()
	c.Eventually(fmt.Sprintf("wait until the replicas of %v are equal", g), func() error {
		leader, replica, err := c.leader(g)
		if err != nil {
			return err
		}
		if err := replica.Barrier(c.t.Context()); err != nil {
			return err
		}
		want, at, err := leader.State.Group(g).Hash()
		if err != nil {
			return err
		}
		for _, m := range replica.Members() {
			n, ok := c.running(m.ID)
			if !ok {
				continue
			}
			sum, applied, err := n.State.Group(g).Hash()
			switch {
			case err != nil:
				return err
			case sum != want && applied == at:
				c.t.Fatalf("replicas of %v differ at %d: %s %x, %s %x", g, at, leader.ID, want, n.ID, sum)
			case sum != want: // the index alone may differ: a snapshot moves it past entries without effect
				return fmt.Errorf("%s is at %d, leader %s at %d", n.ID, applied, leader.ID, at)
			}
		}
		return nil
	})
}
