package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/queue/story"
)

// told has the story of a message be kept; nil where there are to be none, or some node of the cluster does not know them.
func (n *Node) told(a queue.Arrival) *mailstore.Around {
	if n.level() < command.Submit.Level() || n.traceDays() == 0 {
		return nil
	}
	a.Node = n.id
	return a.Told()
}

// traceDays is for how many days stories are kept, 0 where that is not known. Each message asks.
func (n *Node) traceDays() int {
	days, err := remembered(n, &n.tracing, struct{}{}, func(v directory.View) (int, error) {
		s, err := v.Settings()
		return s.TraceDays, err
	})
	switch {
	case err == nil:
		return days
	case !errors.Is(err, cluster.ErrNoReplica):
		n.log.Warn("could not read for how long stories are kept", "error", err)
	}
	return 0
}

// forgetStories has a partition forget the days that are over, as its leader's work.
func (n *Node) forgetStories(ctx context.Context, g cluster.GroupID, now time.Time) error {
	if n.level() < command.ForgetStories.Level() {
		return nil
	}
	r, err := n.host.get(g)
	if err != nil {
		return err
	}
	first := story.Never
	if days := n.traceDays(); days > 0 {
		first = story.DayOf(now.AddDate(0, 0, -days).UnixMilli())
	}
	snapshot := r.Snapshot()
	defer snapshot.Close()
	if stale, err := story.Stale(snapshot, first); err != nil || !stale {
		return err
	}
	if _, err := n.proposeQueue(ctx, g, command.ForgetStories, &queuepb.ForgetStoriesCommand{Before: first}); err != nil {
		return fmt.Errorf("forget old stories: %w", err)
	}
	return nil
}
