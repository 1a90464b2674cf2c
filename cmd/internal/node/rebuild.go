package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cmd/internal/config"
)

// Marks are files in the data directory: the replica of that group is to be forgotten.

func mark(l layout, g cluster.GroupID) error {
	if err := os.MkdirAll(l.rebuilds(), 0o700); err != nil {
		return fmt.Errorf("mark %v for a rebuild: %w", g, err)
	}
	if err := os.WriteFile(l.rebuild(g.String()), nil, 0o600); err != nil {
		return fmt.Errorf("mark %v for a rebuild: %w", g, err)
	}
	return nil
}

func (n *Node) marked(g cluster.GroupID) bool {
	_, err := os.Stat(n.layout.rebuild(g.String()))
	return err == nil
}

func (n *Node) unmark(g cluster.GroupID) error {
	if err := os.Remove(n.layout.rebuild(g.String())); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("unmark %v: %w", g, err)
	}
	return nil
}

// dropAllMarked forgets the replicas that are marked, before anything of them is opened. The marks
// stay: a replica that is still a member of its group must be taken out of it before it may come
// back empty (rejoin).
func (n *Node) dropAllMarked(ctx context.Context) error {
	entries, err := os.ReadDir(n.layout.rebuilds())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the marks of rebuilds: %w", err)
	}
	for _, e := range entries {
		g, err := ParseGroup(e.Name())
		if err != nil {
			return err
		}
		n.log.Info("forgetting the replica of a group that is to be fetched anew", "group", g.String())
		if err := n.host.drop(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// methodReadmit asks a group's leader to take the caller's old replica out of the group.
const methodReadmit = "node.readmit"

// rejoin lets an emptied replica back into its group. It must not vote before it was out of the
// group: as a member that forgot what it had acknowledged, it could help elect a leader that never
// had it.
func (n *Node) rejoin(ctx context.Context, g cluster.GroupID) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if _, err := n.router.CallLeader(ctx, g, methodReadmit, request); err != nil {
		return fmt.Errorf("have %v let go of the old replica: %w", g, err)
	}
	if _, err := n.host.open(context.WithoutCancel(ctx), g); err != nil {
		return err
	}
	n.log.Info("the replica of a group is being fetched anew", "group", g.String())
	return n.unmark(g)
}

func (n *Node) serveReadmit(ctx context.Context, peer cluster.NodeID, request []byte) ([]byte, error) {
	r, err := n.leading(request)
	if err != nil {
		return nil, err
	}
	n.log.Info("taking a replica that is to be rebuilt out of its group", "group", r.ID().String(), "node", string(peer))
	return nil, r.Remove(ctx, peer)
}

// ParseGroup reads the name of a group: "directory", "p7" or "7".
func ParseGroup(name string) (cluster.GroupID, error) {
	if name == cluster.DirectoryGroup.String() {
		return cluster.DirectoryGroup, nil
	}
	number, err := strconv.Atoi(strings.TrimPrefix(name, "p"))
	if err != nil || number < 0 || number > cluster.MaxPartitions {
		return 0, fmt.Errorf("group %q: use directory, or p1 to p%d", name, cluster.MaxPartitions)
	}
	return cluster.GroupID(number), nil
}

// Rebuild marks this node's replica of a group ("all" for every one) to be dropped and fetched anew
// at the next start. The node must not be running.
func Rebuild(_ context.Context, cfg config.Config, name string) error {
	r, err := readRecord(cfg)
	if err != nil {
		return err
	}
	unlock, err := lockDir(cfg)
	if err != nil {
		return err
	}
	defer unlock()
	l := layout{cfg.DataDir}
	if name == "all" {
		return rebuildAll(l, r)
	}
	g, err := ParseGroup(name)
	if err != nil {
		return err
	}
	if len(r.Peers) < 2 {
		return errors.New("this cluster has no other node to fetch a replica from: restore from a backup instead")
	}
	return mark(l, g)
}

// rebuildAll is for damage below the groups: both databases go, every group is marked.
func rebuildAll(l layout, r record) error {
	if len(r.Peers) < 2 {
		return errors.New("this cluster has no other node to fetch replicas from: restore from a backup instead")
	}
	for g := cluster.GroupID(0); g <= cluster.MaxPartitions; g++ {
		if err := mark(l, g); err != nil {
			return err
		}
	}
	for _, dir := range []string{l.logs(), l.state(), l.snapshots()} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove a damaged database: %w", err)
		}
	}
	return nil
}

// rejoinDirectory fetches the directory anew, as often as it takes: without it the node does nothing
// else.
func (n *Node) rejoinDirectory(ctx context.Context) {
	for {
		err := n.rejoin(ctx, cluster.DirectoryGroup)
		if err == nil || ctx.Err() != nil {
			return
		}
		n.log.Warn("cannot fetch the directory yet", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}
