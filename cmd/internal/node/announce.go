package node

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
)

// view reads the directory of this node, at one moment.
func (n *Node) view(read func(directory.View) error) error {
	r, err := n.host.get(cluster.DirectoryGroup)
	if err != nil {
		return err
	}
	snapshot := r.Snapshot()
	defer snapshot.Close()
	return read(directory.View{R: snapshot})
}

// membersAndMap reads the nodes and where the groups are; directory.ErrNotInitialised until the
// directory is here.
func (n *Node) membersAndMap() (nodes []directory.Node, pm directory.PartitionMap, err error) {
	err = n.view(func(v directory.View) error {
		if _, err := v.Cluster(); err != nil {
			return err
		}
		if nodes, err = v.Nodes(); err != nil {
			return err
		}
		pm, err = v.PartitionMap()
		return err
	})
	return nodes, pm, err
}

// announce tells the directory when this node's facts differ from what it says, after a move or an
// upgrade, and keeps the peers in the node's record fresh.
func (n *Node) announce(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		if err := n.announceOnce(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, directory.ErrNotInitialised) {
			n.log.Warn("could not tell the directory about this node", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *Node) announceOnce(ctx context.Context) error {
	nodes, _, err := n.membersAndMap()
	if err != nil {
		return err
	}
	peers := map[string]string{}
	is, want := directory.Node{}, self(n.cfg, n.opts.Version)
	for _, m := range nodes {
		if m.ID == n.id {
			is = m
		}
		if m.State != directory.NodeRemoved {
			peers[string(m.ID)] = m.ClusterAddress
		}
	}
	if len(peers) > 0 && !maps.Equal(peers, n.record.Peers) {
		n.record.Peers = peers
		if err := saveRecord(n.layout, n.record); err != nil {
			return err
		}
	}
	want.State, want.Joined, want.CertificateSerial, want.MailName = is.State, is.Joined, is.CertificateSerial, is.MailName
	if n.level() >= command.LevelThird {
		want.MailName = strings.ToLower(n.cfg.SMTP.Hostname)
	}
	if is == want || is.ID == "" {
		return nil
	}
	c, err := directory.UpdateNode(n.id, directory.NodeChange{Region: &want.Region, ClusterAddress: &want.ClusterAddress,
		GossipAddress: &want.GossipAddress, AdminAddress: &want.AdminAddress, Version: &want.Version, MailName: &want.MailName})
	return n.change(ctx, c, err)
}
