package scenario

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// idleConnections is the scenario's own number.
const idleConnections = 9000

// sessionsPerUser is how many idle connections a user has: some devices with several folders each. Servers bound it.
const sessionsPerUser = 20

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
	accounts, err := s.Accounts(ctx, o.accounts(max(40, n/sessionsPerUser)))
	if err != nil {
		return r, err
	}
	if err := settle(ctx, s); err != nil {
		return r, err
	}
	before, err := restingMemory(ctx, s, o)
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
	fresh, err := s.Usage(ctx)
	if err != nil {
		return r, err
	}
	after, err := restingMemory(ctx, s, o)
	if err != nil {
		return r, err
	}
	r.judge("KiB/connection", float64(after-before)/1024/float64(n), false)
	r.add("fresh-KiB/connection", float64(fresh.Memory-before)/1024/float64(n))
	r.note("%d idle connections over TLS from %d addresses; memory after %v of rest, before and after", n, crowdAddresses, memoryRest(o))
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
	before, err := s.Usage(ctx)
	if err != nil {
		return err
	}
	crowd.refused.Store(0)
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
	after, err := s.Usage(ctx)
	if err != nil {
		return err
	}
	r.add("storm-cpu-s", (after.CPU - before.CPU).Seconds())
	r.add("storm-refused", float64(crowd.refused.Load()))
	r.note("%d clients came back, %d at a time", back, idleDials)
	return nil
}

// memoryRest is how long a site rests before its memory is read: a server in Go collects what is garbage at
// least every two minutes, and gives the pages back.
func memoryRest(o Options) time.Duration {
	if o.Quick {
		return 10 * time.Second
	}
	return 130 * time.Second
}

func restingMemory(ctx context.Context, s site.Site, o Options) (int64, error) {
	if err := sleep(ctx, memoryRest(o)); err != nil {
		return 0, err
	}
	u, err := s.Usage(ctx)
	return u.Memory, err
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
