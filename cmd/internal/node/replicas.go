package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// openReplicas opens every replica that this node holds and starts the loops that keep them right. A
// replica that cannot be opened is said in the log and the status; the others serve.
func (n *Node) openReplicas(ctx context.Context) error {
	if err := os.MkdirAll(n.layout.snapshots(), 0o700); err != nil {
		return fmt.Errorf("make the directory of snapshots: %w", err)
	}
	if err := n.openResolver(); err != nil {
		return err
	}
	if err := n.openInbound(); err != nil {
		return err
	}
	if err := n.openTLSReports(); err != nil {
		return err
	}
	n.dmarcReports = n.openDMARCReports()
	if err := n.openOutbound(); err != nil {
		return err
	}
	n.onStop("the replicas", n.host.close)
	if err := n.dropAllMarked(ctx); err != nil {
		return err
	}
	groups, err := n.logs.Groups()
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g == cluster.DirectoryGroup || n.marked(g) {
			continue
		}
		if _, err := n.host.open(ctx, g); err != nil {
			n.log.Error("a replica of this node cannot be used", "group", g.String(), "error", err)
		}
	}
	loops, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.onStop("the loops", func(context.Context) error { cancel(); n.loops.Wait(); return nil })
	if n.marked(cluster.DirectoryGroup) {
		n.loops.Go(func() { n.rejoinDirectory(loops) })
	} else if _, err := n.host.open(ctx, cluster.DirectoryGroup); err != nil {
		return err
	}
	n.loops.Go(func() { n.assign(loops) })
	n.loops.Go(func() { n.announce(loops) })
	n.loops.Go(func() { n.blobs.Run(loops) })
	n.loops.Go(func() { n.tlsReports.run(loops) })
	n.loops.Go(func() { n.dmarcReports.run(loops) })
	n.loops.Go(func() { n.spam.run(loops) })
	return nil
}

// beside runs beside each open replica: it sees it catch up, and does the work of its leader.
func (n *Node) beside(ctx context.Context, r *replica) {
	var catching sync.WaitGroup
	catching.Go(func() { n.catchUp(ctx, r) })
	defer catching.Wait()
	g := r.Group
	err := g.WhileLeader(ctx, func(ctx context.Context, term uint64) {
		n.log.Info("leading", "group", g.ID().String(), "term", term)
		var work sync.WaitGroup
		work.Go(func() { n.reconcile(ctx, g) })
		if g.ID() == cluster.DirectoryGroup {
			work.Go(func() { n.plan(ctx) })
			work.Go(func() { n.raiseLevel(ctx) })
			work.Go(func() { n.forgetKeys(ctx) })
			work.Go(func() { n.tendKeys(ctx) })
			work.Go(func() { n.refreshPolicies(ctx) })
			work.Go(func() { n.tlsReports.lead(ctx) })
			work.Go(func() { n.dmarcReports.lead(ctx) })
			work.Go(func() { n.sweepMailRecords(ctx) })
		} else {
			work.Go(func() { n.maintain(ctx, g.ID()) })
			work.Go(func() { n.pack(ctx, g.ID()) })
			work.Go(func() { n.sendMail(ctx, r, term) })
			work.Go(func() { n.tellHolds(ctx, r) })
		}
		work.Wait()
	})
	if err != nil && ctx.Err() == nil {
		n.log.Error("a replica stopped", "group", g.ID().String(), "error", err)
	}
}

// maintainEvery is how often a partition's leader looks for what deleted mailboxes and unfinished
// uploads left behind.
const maintainEvery = time.Minute

// maintain frees what nobody uses any more, as leader work of a partition.
func (n *Node) maintain(ctx context.Context, g cluster.GroupID) {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := errors.Join(n.store.Maintain(ctx, g, time.Now()), n.forgetStories(ctx, g, time.Now())); err != nil && ctx.Err() == nil {
			n.log.Warn("could not free what is no longer used", "group", g.String(), "error", err)
		}
	}
}
