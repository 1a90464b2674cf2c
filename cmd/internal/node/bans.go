package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/ban"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/membership"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// gossipBan is the kind of gossip message that carries one record of a ban.
const gossipBan byte = 1

// sharedBans is the list of bans as gossip exchanges it.
type sharedBans struct{ n *Node }

var _ membership.Shared = sharedBans{}

// State implements membership.Shared.
func (s sharedBans) State() []byte {
	data, err := s.n.bans.State(time.Now())
	if err != nil {
		s.n.log.Error("bans cannot be told", "error", err)
	}
	return data
}

// Merge implements membership.Shared.
func (s sharedBans) Merge(state []byte) {
	if err := s.n.bans.Merge(state, time.Now()); err != nil {
		s.n.log.Warn("bans of another node are not understood", "error", err)
	}
}

// receiveGossip takes a message of another node.
func (n *Node) receiveGossip(kind byte, payload []byte) {
	if kind == gossipBan {
		sharedBans{n}.Merge(payload)
	}
}

// Bans lists the networks that are banned, as this node knows them.
func (n *Node) Bans(context.Context) ([]adminapi.Ban, error) {
	out := []adminapi.Ban{}
	for _, r := range n.bans.Bans(time.Now()) {
		out = append(out, adminapi.Ban{Network: r.Network.String(), Reason: r.Reason, Until: r.Until})
	}
	return out, nil
}

// AddBan bans a network on all nodes.
func (n *Node) AddBan(_ context.Context, b adminapi.Ban) error {
	network, err := ban.ParseNetwork(b.Network)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	now := time.Now()
	r, err := n.bans.Ban(network, b.Reason, b.Until.Sub(now), now)
	if errors.Is(err, ban.ErrInvalid) || errors.Is(err, ban.ErrFull) {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	return n.tellBan(r, err)
}

// LiftBan ends the ban of a network on all nodes.
func (n *Node) LiftBan(_ context.Context, text string) error {
	network, err := ban.ParseNetwork(text)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	r, ok, err := n.bans.Lift(network, time.Now())
	if err == nil && !ok {
		return fmt.Errorf("%w: %v is not banned", directory.ErrNotFound, network)
	}
	return n.tellBan(r, err)
}

// tellBan tells all other nodes of a record. Who misses it learns it with the next exchange of all that
// is known.
func (n *Node) tellBan(r ban.Record, err error) error {
	if err != nil {
		return err
	}
	n.log.Info("ban changed", "network", r.Network, "lifted", r.Lifted, "until", r.Until, "reason", r.Reason)
	data, err := r.Encode()
	if err != nil {
		return err
	}
	if gossip := n.gossip.Load(); gossip != nil {
		return gossip.Broadcast(gossipBan, data)
	}
	return nil
}
