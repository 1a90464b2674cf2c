package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/certs"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/cmd/internal/config"
)

// InitOptions is what is decided once for a new cluster.
type InitOptions struct {
	Partitions        int // 1 to cluster.MaxPartitions, for ever
	ReplicationFactor int // may be changed later
	Version           string
}

// Init makes a cluster of one node in the data directory and returns the cluster's id. Nothing is
// left running.
func Init(ctx context.Context, cfg config.Config, opts InitOptions) (clusterID string, err error) {
	if opts.Partitions < 1 || opts.Partitions > cluster.MaxPartitions {
		return "", fmt.Errorf("--partitions %d: use 1 to %d", opts.Partitions, cluster.MaxPartitions)
	}
	if err := checkEmpty(cfg); err != nil {
		return "", err
	}
	unlock, err := lockDir(cfg)
	if err != nil {
		return "", err
	}
	defer unlock()
	l := layout{cfg.DataDir}
	for _, dir := range []string{l.logs(), l.state(), l.snapshots()} {
		if err := os.RemoveAll(dir); err != nil { // of an init that was interrupted
			return "", fmt.Errorf("clear %s: %w", dir, err)
		}
	}
	f, err := found(cfg, opts)
	if err != nil {
		return "", err
	}
	if err := f.writeGroups(ctx, l); err != nil {
		return "", err
	}
	r := record{Cluster: f.ca.ClusterID, Node: cfg.Node, GossipKey: f.gossipKey,
		Peers: map[string]string{cfg.Node: cfg.Cluster.Advertise}}
	return f.ca.ClusterID, save(cfg, r, f.chainPEM, f.keyPEM)
}

// founding is everything that a new cluster is made of.
type founding struct {
	cfg               config.Config
	opts              InitOptions
	ca                *certs.CA
	gossipKey         []byte
	chainPEM, keyPEM  []byte
	clusterCommand    command.Command
	nodeCommand       command.Command
	mapCommand        command.Command
	levelCommand      command.Command
	certificateSerial string
}

func found(cfg config.Config, opts InitOptions) (*founding, error) {
	var id [6]byte
	f := &founding{cfg: cfg, opts: opts, gossipKey: make([]byte, 32)}
	for _, b := range [][]byte{id[:], f.gossipKey} {
		if _, err := rand.Read(b); err != nil {
			return nil, fmt.Errorf("draw secrets: %w", err)
		}
	}
	now := time.Now()
	var err error
	if f.ca, err = certs.NewCA("c"+hex.EncodeToString(id[:]), now); err != nil {
		return nil, err
	}
	var request []byte
	if f.keyPEM, request, err = certs.NewNodeRequest(cluster.NodeID(cfg.Node)); err != nil {
		return nil, err
	}
	if f.chainPEM, err = f.ca.SignNode(cluster.NodeID(cfg.Node), request, now); err != nil {
		return nil, err
	}
	return f, f.commands()
}

// commands builds the first commands of the directory.
func (f *founding) commands() error {
	caKey, err := f.ca.KeyPEM()
	if err != nil {
		return err
	}
	f.clusterCommand, err = directory.InitialiseCluster(directory.ClusterSpec{
		ID: f.ca.ClusterID, Partitions: f.opts.Partitions, CACert: f.ca.CertPEM(), CAKey: caKey, GossipKey: f.gossipKey,
		Settings: map[string]string{"replication_factor": strconv.Itoa(f.opts.ReplicationFactor)},
	})
	if err != nil {
		return fmt.Errorf("--replication-factor: %w", err)
	}
	if f.nodeCommand, err = directory.RegisterNode(self(f.cfg, f.opts.Version)); err != nil {
		return err
	}
	if f.levelCommand, err = directory.RaiseLevel(command.Latest); err != nil {
		return err
	}
	var rows []directory.Replicas
	for g := 1; g <= f.opts.Partitions; g++ {
		rows = append(rows, directory.Replicas{Group: cluster.GroupID(g), Nodes: []cluster.NodeID{cluster.NodeID(f.cfg.Node)}})
	}
	f.mapCommand, err = directory.PutPartitionMap(0, rows...)
	return err
}

// self is this node's entry in the directory.
func self(cfg config.Config, version string) directory.Node {
	return directory.Node{ID: cluster.NodeID(cfg.Node), Region: cfg.Region, ClusterAddress: cfg.Cluster.Advertise,
		GossipAddress: cfg.Cluster.GossipAdvertise, AdminAddress: cfg.Admin.Listen, Version: version}
}

// writeGroups bootstraps every group with this node as its only voter, and fills the directory.
func (f *founding) writeGroups(ctx context.Context, l layout) (err error) {
	logs, err := raftlog.Open(l.logs(), raftlog.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	db, err := state.Open(l.state(), state.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	h := newHost(hostConfig{
		node: cluster.NodeID(f.cfg.Node), logs: logs, state: db, snapshots: l.snapshots(), timing: group.LAN(),
		logger: slog.New(slog.DiscardHandler), directory: directory.New(),
		dial: func(cluster.GroupID) (raft.Transport, error) {
			// Nobody else is in the group yet; the address is what later members will dial.
			_, transport := raft.NewInmemTransport(raft.ServerAddress(f.cfg.Cluster.Advertise))
			return transport, nil
		},
	})
	defer func() { err = errors.Join(err, h.close(ctx)) }()
	for g := 0; g <= f.opts.Partitions; g++ {
		r, err := h.open(ctx, cluster.GroupID(g))
		if err != nil {
			return err
		}
		if err := r.Bootstrap(ctx); err != nil {
			return err
		}
	}
	return f.fill(ctx, h)
}

// fill executes the first commands in the directory.
func (f *founding) fill(ctx context.Context, h *host) error {
	d, err := h.get(cluster.DirectoryGroup)
	if err != nil {
		return err
	}
	for !d.IsLeader() {
		changed := d.LeaderChanged()
		if d.IsLeader() {
			break
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond): // leading and having applied everything are two moments
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, c := range []command.Command{f.clusterCommand, f.nodeCommand, f.levelCommand, f.mapCommand} {
		if _, err := rand.Read(c.ID[:]); err != nil {
			return fmt.Errorf("draw a command id: %w", err)
		}
		c.Time = time.Now()
		result, _, err := d.Propose(ctx, c.Append(nil))
		if err != nil {
			return err
		}
		if _, err := directory.DecodeResult(result); err != nil {
			return err
		}
	}
	return nil
}
