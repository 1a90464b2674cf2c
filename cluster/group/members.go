package group

import (
	"context"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// Member is one server of the group's configuration.
type Member struct {
	ID      cluster.NodeID
	Address string
	Voter   bool
}

// Members returns the latest configuration known here, committed or not.
func (g *Group) Members() []Member {
	f := g.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	var members []Member
	for _, s := range f.Configuration().Servers {
		members = append(members, Member{
			ID: cluster.NodeID(s.ID), Address: string(s.Address), Voter: s.Suffrage == raft.Voter,
		})
	}
	return members
}

func (g *Group) hasOtherVoter() bool {
	for _, m := range g.Members() {
		if m.Voter && m.ID != g.cfg.Node {
			return true
		}
	}
	return false
}

// AddNonvoter adds a member that receives the log and does not vote. Leader only, idempotent; a
// voter stays one.
func (g *Group) AddNonvoter(ctx context.Context, id cluster.NodeID, address string) error {
	return g.change(ctx, "add nonvoter", id, func() raft.Future {
		return g.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(address), 0, timeLeft(ctx))
	})
}

// AddVoter adds a member or promotes it. Leader only, idempotent.
func (g *Group) AddVoter(ctx context.Context, id cluster.NodeID, address string) error {
	return g.change(ctx, "add voter", id, func() raft.Future {
		return g.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(address), 0, timeLeft(ctx))
	})
}

// Demote turns a voter into a member that does not vote. Leader only, idempotent.
func (g *Group) Demote(ctx context.Context, id cluster.NodeID) error {
	return g.change(ctx, "demote", id, func() raft.Future {
		return g.raft.DemoteVoter(raft.ServerID(id), 0, timeLeft(ctx))
	})
}

// Remove takes a member out. Leader only, idempotent. A leader that removes itself stops with
// ErrRemoved.
func (g *Group) Remove(ctx context.Context, id cluster.NodeID) error {
	return g.change(ctx, "remove", id, func() raft.Future {
		return g.raft.RemoveServer(raft.ServerID(id), 0, timeLeft(ctx))
	})
}

// TransferLeadership makes to, a voter, the leader. Leader only.
func (g *Group) TransferLeadership(ctx context.Context, to cluster.NodeID) error {
	for _, m := range g.Members() {
		if m.ID == to && m.Voter {
			return g.change(ctx, "transfer leadership to", to, func() raft.Future {
				return g.raft.LeadershipTransferToServer(raft.ServerID(to), raft.ServerAddress(m.Address))
			})
		}
	}
	return fmt.Errorf("transfer leadership to %s in %v: it is no voter", to, g.cfg.ID)
}

func (g *Group) change(ctx context.Context, verb string, id cluster.NodeID, begin func() raft.Future) error {
	if err := g.await(ctx, begin); err != nil {
		return fmt.Errorf("%s %s in %v: %w", verb, id, g.cfg.ID, err)
	}
	return nil
}
