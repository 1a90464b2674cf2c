package node

import (
	"context"
	"net"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/membership"
)

// openGossip joins the gossip: who is up, and where. Nothing that must be right depends on it; it
// lets a node find others that moved while it was away.
func (n *Node) openGossip(ctx context.Context) error {
	gossip, err := membership.Start(ctx, membership.Config{
		Facts:     membership.Facts{ID: n.id, Region: n.cfg.Region, Address: n.cfg.Cluster.Advertise, Version: n.opts.Version},
		ClusterID: n.record.Cluster, Listen: n.cfg.Cluster.GossipListen, Advertise: numeric(ctx, n.cfg.Cluster.GossipAdvertise),
		Key: n.record.GossipKey, WAN: n.cfg.Cluster.Timing == "wan", Peers: n.gossipPeers, RejoinEvery: 5 * time.Second, Clock: time.Now, Logger: n.log,
		Receive: n.receiveGossip, Shared: defence{n},
	})
	if err != nil {
		return err
	}
	n.gossip.Store(gossip)
	n.book.ask(n.gossipAddress)
	n.onStop("gossip", func(context.Context) error {
		if err := gossip.Stop(); err != nil {
			n.log.Info("nobody heard this node's goodbye", "error", err) // they notice by themselves
		}
		return nil
	})
	return nil
}

// numeric resolves the host of an address, since gossip wants numbers. Where it cannot be resolved
// the gossip library chooses an address of this machine.
func numeric(ctx context.Context, address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || net.ParseIP(host) != nil {
		return address
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil || len(ips) == 0 {
		return ""
	}
	return net.JoinHostPort(ips[0], port)
}

// gossipPeers are the addresses at which the directory says others gossip.
func (n *Node) gossipPeers() (out []string) {
	nodes, _, err := n.membersAndMap()
	if err != nil {
		return nil // the others call this node then
	}
	for _, m := range nodes {
		if m.ID != n.id && m.State != directory.NodeRemoved && m.GossipAddress != "" {
			out = append(out, m.GossipAddress)
		}
	}
	return out
}

// gossipAddress is the cluster address that a node itself gossips.
func (n *Node) gossipAddress(id cluster.NodeID) (string, bool) {
	for _, m := range n.gossip.Load().Members() {
		if m.ID == id && m.Address != "" {
			return m.Address, true
		}
	}
	return "", false
}

// heard is what gossip says of a node; empty before gossip has heard of it.
func (n *Node) heard(id cluster.NodeID) string {
	gossip := n.gossip.Load()
	if gossip == nil {
		return ""
	}
	for _, m := range gossip.Members() {
		if m.ID == id {
			return m.State.String()
		}
	}
	return ""
}
