// Command chaos kills, freezes and cuts off nodes of a real cluster again and again while mail is
// delivered to it and mailboxes are changed through all nodes. Each client writes down what was
// acknowledged; at the end everything is read through every node and held against that, and the
// replicas of each group are compared. With -store s3 the bodies are in an object store, which is killed
// and frozen as well; then the bucket is held against what the cluster says of it. With -mix outbound users submit
// mail for other domains, and what their host took is held against what was acknowledged. The last line is the
// ledger; the exit code follows it. The same seed gives the same faults.
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
	"github.com/rookery-mail/rookery/deploy/stores"
)

// domain is the one the accounts are in.
const domain = "example.org"

// options are the command's flags.
type options struct {
	binary   string
	cycles   int
	seconds  float64
	seed     uint64
	nodes    int
	accounts int
	senders  int
	kinds    string
	store    string
	mix      string
	verbose  bool
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/rookery", "the rookery binary")
	flag.IntVar(&o.cycles, "cycles", 20, "how many faults, one after the other")
	flag.Float64Var(&o.seconds, "seconds-per-cycle", 6, "how long each cycle takes, the fault and the time after it")
	flag.Uint64Var(&o.seed, "seed", 1, "which faults and which mail")
	flag.IntVar(&o.nodes, "nodes", 3, "how many nodes")
	flag.IntVar(&o.accounts, "accounts", 9, "how many accounts, each with an IMAP client at work")
	flag.IntVar(&o.senders, "senders", 4, "how many SMTP connections")
	flag.StringVar(&o.kinds, "kinds", allKinds, "which kinds of faults, drawn with equal odds")
	flag.StringVar(&o.store, "store", "", "s3: bodies go to an object store, which fails as well")
	flag.StringVar(&o.mix, "mix", mixMailboxes, "what the load is: mailboxes (mail in, and IMAP), or outbound (submissions for other domains)")
	flag.BoolVar(&o.verbose, "v", false, "print every failed attempt of a client")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// chaos is one run.
type chaos struct {
	options
	began   time.Time
	cluster *harness.Cluster
	clients []*client
	load    *load
	bucket  *stores.Store // nil without -store
	out     *outbound     // nil without -mix outbound
}

// say prints a line of progress with the time since the start.
func (c *chaos) say(format string, args ...any) {
	fmt.Printf("[%6.1fs] "+format+"\n", append([]any{time.Since(c.began).Seconds()}, args...)...)
}

func run(ctx context.Context, o options) (err error) {
	c := &chaos{options: o, began: time.Now()}
	plan, err := schedule(o)
	if err != nil {
		return err
	}
	extra := ""
	if o.mix == mixOutbound {
		if c.out, err = newOutbound(); err != nil {
			return err
		}
		defer c.out.sink.Close()
		extra = c.out.configuration()
	}
	c.cluster, err = harness.New(harness.Config{Binary: o.binary, Nodes: o.nodes, Domain: domain, Proxied: true, Progress: c.say, ExtraTOML: extra})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			c.cluster.KeepFiles()
			c.say("data and logs are kept in %s", c.cluster.Dir())
		}
		if c.bucket != nil {
			c.bucket.Close()
		}
		c.cluster.Close()
	}()
	c.say("%d nodes, %d cycles of %.1f s, seed %d, data in %s", o.nodes, o.cycles, o.seconds, o.seed, c.cluster.Dir())
	if err := c.setUp(ctx); err != nil {
		return err
	}
	if err := c.storm(ctx, plan); err != nil {
		return err
	}
	result, err := c.verify(ctx)
	if err != nil {
		return err
	}
	if err := c.verifyStore(ctx); err != nil {
		return errors.Join(err, errors.New(result.String()))
	}
	if c.out != nil {
		if err := c.verifyOutbound(ctx); err != nil {
			return errors.Join(err, errors.New(result.String()))
		}
	}
	fmt.Println(result)
	if !result.good() {
		return fmt.Errorf("promises were broken:\n%s", result.explain(40))
	}
	return nil
}

// setUp starts the cluster and makes the accounts.
func (c *chaos) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := c.cluster.Start(ctx); err != nil {
		return err
	}
	first := c.cluster.Nodes()[0]
	if _, err := first.Run(ctx, "", "domain", "add", domain); err != nil {
		return err
	}
	for i := range c.accounts {
		cl := newClient(c, i)
		if err := first.AddAccount(ctx, cl.address, cl.password); err != nil {
			return err
		}
		c.clients = append(c.clients, cl)
	}
	if c.out != nil {
		if err := c.unbound(ctx, first); err != nil {
			return err
		}
	}
	c.say("domain %s has %d accounts", domain, len(c.clients))
	if c.store != "" {
		return c.startStore(ctx)
	}
	return nil
}

// storm runs the load and the faults, and ends with a whole cluster and clients that have finished.
func (c *chaos) storm(ctx context.Context, plan []fault) error {
	c.load = startLoad(ctx, c)
	err := c.faults(ctx, plan)
	if err == nil {
		waiting, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		if err = c.cluster.WaitWhole(waiting); err == nil {
			c.say("everything is healed, the clients finish")
		}
	}
	// Without a whole cluster no client would finish.
	if err != nil {
		c.load.abort()
	}
	return errors.Join(err, c.load.finish())
}
