package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// replicaPatience is how long a reading node's replica may be behind before what it lacks counts as
// lost. It serves reads from what it has.
const replicaPatience = 10 * time.Second

// readBack reads all mailboxes through one node and holds them against the ledger.
func (d *demo) readBack(ctx context.Context, from *harness.Node) (harness.Report, error) {
	deadline := time.Now().Add(replicaPatience)
	for {
		began := time.Now()
		found, err := d.readAll(ctx, from)
		if err != nil {
			return harness.Report{}, err
		}
		report := d.ledger.Compare(found)
		d.say("read %d messages by IMAP from %s in %.1f s: %d lost, %d duplicated", len(found), from.Name, time.Since(began).Seconds(), report.Lost, report.Duplicated)
		if report.Lost == 0 || time.Now().After(deadline) {
			return report, nil
		}
		d.say("%s may be behind, reading again", from.Name)
	}
}

// readAll reads every account, some at a time.
func (d *demo) readAll(ctx context.Context, from *harness.Node) ([]harness.Found, error) {
	var mu sync.Mutex
	var all []harness.Found
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, a := range d.accounts {
		group.Go(func() error {
			found, err := from.ReadAll(ctx, a.address, a.password)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, found...)
			return err
		})
	}
	return all, group.Wait()
}

// bringBack restarts the killed node, waits until it has caught up, compares the replicas, and reads
// everything through it as well.
func (d *demo) bringBack(ctx context.Context, victim *harness.Node, before harness.Report) error {
	began := time.Now()
	if err := victim.Start(); err != nil {
		return err
	}
	if err := d.cluster.WaitWhole(ctx); err != nil {
		return err
	}
	d.say("%s is back and has caught up, %.1f s after its start", victim.Name, time.Since(began).Seconds())
	groups, err := d.cluster.WaitEqual(ctx)
	if err != nil {
		return err
	}
	d.say("all replicas of all %d groups are equal", groups)
	after, err := d.readBack(ctx, victim)
	if err != nil {
		return err
	}
	if after.String() != before.String() {
		return fmt.Errorf("%s shows other mail than before: %s:\n%s", victim.Name, after, after.Explain(20))
	}
	for _, n := range d.cluster.Nodes() {
		if err := n.Crashed(); err != nil {
			return err
		}
	}
	return nil
}

// printSettings says how to use a cluster that is left running.
func (d *demo) printSettings() {
	a := d.accounts[0]
	fmt.Printf("\nThe cluster keeps running. Settings for a mail client (any of the %d accounts alike):\n", len(d.accounts))
	fmt.Printf("  name and password   %s   %s\n", a.address, a.password)
	for _, n := range d.cluster.Nodes() {
		fmt.Printf("  node %s             IMAP %s (TLS), %s (STARTTLS)   submission %s (TLS), %s (STARTTLS)   MX %s\n",
			n.Name, n.IMAPS(), n.IMAP(), n.Submissions(), n.Submission(), n.MX())
	}
	first := d.cluster.Nodes()[0]
	fmt.Printf("  certificates are signed by the cluster's own authority, in %s\n", first.CAPath())
	fmt.Printf("  operate it with     %s status --config %s\n", d.binary, first.ConfigPath())
	stop := "kill -9"
	for _, n := range d.cluster.Nodes() {
		stop += fmt.Sprintf(" %d", n.PID())
	}
	fmt.Printf("  stop it with        %s && rm -r %s\n\n", stop, d.cluster.Dir())
}
