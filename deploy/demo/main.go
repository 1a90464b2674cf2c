// Command demo shows the main job on real processes: a cluster of three nodes takes mail by SMTP on
// two of them, one of these is killed while it leads and mail flows, everything is read back by IMAP
// from the third, and the killed node returns. The last line is a ledger; the exit code follows it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// domain is the one the demo's accounts are in.
const domain = "example.org"

// options are the command's flags.
type options struct {
	binary      string
	messages    int
	connections int
	accounts    int
	seed        uint64
	keep        bool
	patience    time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/rookery", "the rookery binary")
	flag.IntVar(&o.messages, "messages", 1200, "how many messages to send")
	flag.IntVar(&o.connections, "connections", 8, "how many SMTP connections send them")
	flag.IntVar(&o.accounts, "accounts", 24, "how many accounts get them")
	flag.Uint64Var(&o.seed, "seed", 1, "which messages")
	flag.BoolVar(&o.keep, "keep", false, "leave the cluster running at the end and print settings for a mail client")
	flag.DurationVar(&o.patience, "patience", 5*time.Minute, "give up after this time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is one run.
type demo struct {
	options
	began    time.Time
	cluster  *harness.Cluster
	accounts []account
	ledger   *harness.Ledger
}

// account is a mailbox owner of the demo.
type account struct{ address, password, partition string }

// say prints a line of progress with the time since the start.
func (d *demo) say(format string, args ...any) {
	fmt.Printf("[%5.1fs] "+format+"\n", append([]any{time.Since(d.began).Seconds()}, args...)...)
}

func run(ctx context.Context, o options) (err error) {
	if o.messages < 1 || o.connections < 1 || o.accounts < 1 {
		return errors.New("messages, connections and accounts start at 1")
	}
	d := &demo{options: o, began: time.Now(), ledger: harness.NewLedger()}
	d.cluster, err = harness.New(harness.Config{Binary: o.binary, Domain: domain, Detached: o.keep, Progress: d.say})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			d.cluster.KeepFiles()
			d.say("data and logs are kept in %s", d.cluster.Dir())
		}
		d.cluster.Close()
	}()
	d.say("three nodes in regions a, b and c, data in %s", d.cluster.Dir())
	if err := d.setUp(ctx); err != nil {
		return err
	}
	f, err := d.deliver(ctx)
	if err != nil {
		return err
	}
	report, err := d.readBack(ctx, d.cluster.Nodes()[2])
	if err != nil {
		return err
	}
	if err := d.bringBack(ctx, f.victim, report); err != nil {
		fmt.Println(d.ledgerLine(report, f))
		return err
	}
	if o.keep {
		d.cluster.Release()
		d.printSettings()
	}
	fmt.Println(d.ledgerLine(report, f))
	if !report.Good() || report.Acknowledged != o.messages {
		return fmt.Errorf("the ledger does not balance:\n%s", report.Explain(20))
	}
	return nil
}

// ledgerLine is the last line of the demo.
func (d *demo) ledgerLine(r harness.Report, f *flow) string {
	return fmt.Sprintf("%s first_accept_gap_ms=%d", r, f.worstGap().Milliseconds())
}

// setUp starts the cluster, adds the domain and the accounts, and waits until every node leads its
// share.
func (d *demo) setUp(ctx context.Context) error {
	if err := d.cluster.Start(ctx); err != nil {
		return err
	}
	first := d.cluster.Nodes()[0]
	if _, err := first.Run(ctx, "", "domain", "add", domain); err != nil {
		return err
	}
	for i := range d.options.accounts {
		a := account{address: fmt.Sprintf("user%02d@%s", i+1, domain), password: fmt.Sprintf("demo-password-%02d", i+1)}
		if err := first.AddAccount(ctx, a.address, a.password); err != nil {
			return err
		}
		d.accounts = append(d.accounts, a)
	}
	partitions := map[string]string{}
	listed, err := first.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range listed {
		partitions[a.Address] = a.Partition
	}
	for i := range d.accounts {
		d.accounts[i].partition = partitions[d.accounts[i].address]
	}
	d.say("domain %s has %d accounts", domain, len(d.accounts))
	waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := d.cluster.WaitSpread(waiting); err != nil {
		d.say("the leaders are not spread as planned, going on: %v", err)
	} else {
		d.say("the leaders are spread over the nodes")
	}
	return ctx.Err()
}
