package scenario

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// idleConnections is the scenario's own number.
const idleConnections = 9000

// idleDials is how many clients connect at once when a storm breaks loose.
const idleDials = 200

// runIdle opens idle connections over TLS, reads what they cost, and kills a node (of several): all of its
// clients come back at once.
func runIdle(ctx context.Context, s site.Site, o Options) (Result, error) {
	r := Result{Scenario: "idle", Site: s.Name()}
	n := o.connections(o.messages(idleConnections))
	if err := enoughFiles(n); err != nil {
		return r, err
	}
	accounts, err := s.Accounts(ctx, o.accounts(40))
	if err != nil {
		return r, err
	}
	if err := settle(ctx, s); err != nil {
		return r, err
	}
	before, err := s.Usage(ctx)
	if err != nil {
		return r, err
	}
	crowd := &crowd{doors: s.IMAP(), accounts: accounts, clients: make([]*load.IMAP, n), at: make([]int, n)}
	defer crowd.close()
	start := time.Now()
	stop := follow(ctx, o, "idle: connected", n, crowd.connected.Load)
	err = crowd.connect(ctx, func(int) bool { return true })
	stop()
	if err != nil {
		return r, serverTrouble(ctx, s, err)
	}
	r.judge("logins/s", float64(n)/time.Since(start).Seconds(), true)
	if err := settle(ctx, s); err != nil {
		return r, err
	}
	after, err := s.Usage(ctx)
	if err != nil {
		return r, err
	}
	r.judge("KiB/connection", float64(after.Memory-before.Memory)/1024/float64(n), false)
	r.note("%d idle connections over TLS", n)
	return r, storm(ctx, s, crowd, &r)
}

// storm kills the last node and measures until all of its clients are back on the others.
func storm(ctx context.Context, s site.Site, crowd *crowd, r *Result) error {
	c, ok := s.(site.Clustered)
	if !ok || len(c.Nodes()) < 3 {
		r.note("one node: no reconnect storm")
		return nil
	}
	last := len(c.Nodes()) - 1
	if err := c.Kill(c.Nodes()[last]); err != nil {
		return err
	}
	crowd.doors = crowd.doors[:last]
	start := time.Now()
	back := 0
	for _, at := range crowd.at {
		if at == last {
			back++
		}
	}
	if err := crowd.connect(ctx, func(i int) bool { return crowd.at[i] == last }); err != nil {
		return fmt.Errorf("reconnect: %w", err)
	}
	r.judge("storm-s", time.Since(start).Seconds(), false)
	r.note("%d clients came back", back)
	return nil
}

// crowd is many idle clients.
type crowd struct {
	doors     []load.Door
	accounts  []load.Login
	clients   []*load.IMAP
	at        []int // index of the door of each
	connected atomic.Int64
}

// connect connects those clients that are chosen, and leaves them idle. A client that is refused tries
// for half a minute, as mail programs do.
func (c *crowd) connect(ctx context.Context, chosen func(i int) bool) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(idleDials)
	for i := range c.clients {
		if !chosen(i) {
			continue
		}
		g.Go(func() error {
			deadline := time.Now().Add(30 * time.Second)
			for {
				client, err := c.one(ctx, i)
				if err == nil {
					c.clients[i], c.at[i] = client, i%len(c.doors)
					c.connected.Add(1)
					return nil
				}
				if time.Now().After(deadline) || sleep(gctx, 100*time.Millisecond) != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

func (c *crowd) one(ctx context.Context, i int) (*load.IMAP, error) {
	if c.clients[i] != nil {
		c.clients[i].Close()
	}
	client, err := load.DialIMAP(ctx, c.doors[i%len(c.doors)], c.accounts[i%len(c.accounts)])
	if err != nil {
		return nil, err
	}
	if _, err := client.Do("SELECT INBOX"); err != nil {
		client.Close()
		return nil, err
	}
	if err := client.Idle(); err != nil {
		client.Close()
		return nil, err
	}
	client.Shrink()
	return client, nil
}

func (c *crowd) close() {
	for _, client := range c.clients {
		if client != nil {
			client.Close()
		}
	}
}

// enoughFiles checks the limit of this process, which its servers inherit.
func enoughFiles(connections int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if want := uint64(connections + 1024); limit.Cur < want {
		return fmt.Errorf("%d open files are allowed and %d are needed: raise the limit (ulimit -n %d), or ask for fewer --connections", limit.Cur, want, want)
	}
	return nil
}
