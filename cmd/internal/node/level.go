package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
)

// levelEvery is how often the directory's leader asks whether all nodes were upgraded, while some were
// not.
const levelEvery = 5 * time.Second

// level is the cluster's command level as this node's directory shows it. It only rises, so what was
// read once holds.
func (n *Node) level() command.Level {
	known := command.Level(n.levelSeen.Load())
	if known >= command.Latest {
		return known
	}
	err := n.view(func(v directory.View) (err error) {
		known, err = v.Level()
		return err
	})
	if err != nil {
		return command.LevelFirst
	}
	n.levelSeen.Store(int64(known))
	return known
}

// raiseLevel is leader work of the directory: once every node of the cluster executes more than the
// cluster's level says, it says so.
func (n *Node) raiseLevel(ctx context.Context) {
	tick := time.NewTicker(levelEvery)
	defer tick.Stop()
	for n.level() < command.Latest {
		if err := n.raiseLevelOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("could not raise the cluster's command level", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *Node) raiseLevelOnce(ctx context.Context) error {
	nodes, _, err := n.membersAndMap()
	if errors.Is(err, directory.ErrNotInitialised) {
		return nil
	}
	if err != nil {
		return err
	}
	all := command.Latest
	reports := n.reports(ctx, nodes)
	for _, m := range nodes {
		if m.State == directory.NodeRemoved {
			continue
		}
		r, ok := reports[m.ID]
		if !ok {
			return nil // it may be a version that knows less
		}
		all = min(all, max(r.Level, command.LevelFirst))
	}
	if all <= n.level() {
		return nil
	}
	c, err := directory.RaiseLevel(all)
	if err != nil {
		return err
	}
	if _, err := n.proposeDirectory(ctx, c); err != nil {
		return fmt.Errorf("store level %d: %w", all, err)
	}
	n.log.Info("every node executes the commands of this version: they are used from now on", "level", int(all))
	return nil
}
