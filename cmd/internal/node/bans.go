package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/ban"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/membership"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// The kinds of gossip messages; numbers are for ever.
const (
	gossipBan      byte = 1 // one record of a ban
	gossipFailures byte = 2 // news of failed logins
	gossipProbes   byte = 3 // news of recipients that nobody knows
	gossipGreylist byte = 4 // news of who came again
)

// defence is what gossip exchanges in whole of who is kept out: bans, failed logins and tried names on the way to one, and who
// was asked to come again.
type defence struct{ n *Node }

var _ membership.Shared = defence{}

// defenceState is defence as it travels.
type defenceState struct {
	Bans     json.RawMessage `json:"bans,omitempty"`     // of ban.List
	Failures []byte          `json:"failures,omitempty"` // of guard.Tally
	Probes   []byte          `json:"probes,omitempty"`   // of guard.Tally
	Greylist []byte          `json:"greylist,omitempty"` // of greylist.List
}

// State implements membership.Shared.
func (d defence) State() []byte {
	var s defenceState
	var err error
	if s.Bans, err = d.n.bans.State(time.Now()); err != nil {
		d.n.log.Error("bans cannot be told", "error", err)
	}
	if g := d.n.watch.Load(); g != nil {
		s.Failures = g.state()
	}
	if p := d.n.porters.Load(); p != nil {
		s.Probes, s.Greylist = p.probes.state(), p.greylist.State(maxGreylist)
	}
	if len(s.Bans) == 0 && len(s.Failures) == 0 && len(s.Probes) == 0 && len(s.Greylist) == 0 {
		return nil
	}
	data, err := json.Marshal(s)
	if err != nil {
		d.n.log.Error("bans and failed logins cannot be told", "error", err)
	}
	return data
}

// Merge implements membership.Shared.
func (d defence) Merge(state []byte) {
	var s defenceState
	if err := json.Unmarshal(state, &s); err != nil {
		d.n.log.Warn("bans and failed logins of another node are not understood", "error", err)
		return
	}
	d.n.receiveGossip(gossipBan, s.Bans)
	d.n.receiveGossip(gossipFailures, s.Failures)
	d.n.receiveGossip(gossipProbes, s.Probes)
	d.n.receiveGossip(gossipGreylist, s.Greylist)
}

// receiveGossip takes a message of another node.
func (n *Node) receiveGossip(kind byte, payload []byte) {
	switch kind {
	case gossipBan:
		if err := n.bans.Merge(payload, time.Now()); err != nil {
			n.log.Warn("bans of another node are not understood", "error", err)
		}
	case gossipFailures:
		if g := n.watch.Load(); g != nil {
			g.hear(payload)
		}
	case gossipProbes:
		if p := n.porters.Load(); p != nil {
			p.probes.hear(payload)
		}
	case gossipGreylist:
		if p := n.porters.Load(); p != nil {
			p.hearGreylist(payload)
		}
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
