package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// snapshotter is a site that can be asked to take snapshots and tells the longest.
type snapshotter interface {
	Snapshot(ctx context.Context) (time.Duration, error)
}

// runScale measures what must not grow with a mailbox: SELECT, snapshot, restart.
func runScale(ctx context.Context, s site.Site, o Options) (Result, error) {
	r := Result{Scenario: "scale", Site: s.Name()}
	c, ok := s.(site.Clustered)
	if !ok {
		return r, fmt.Errorf("scale: %w", site.ErrUnsupported)
	}
	accounts, err := s.Accounts(ctx, 1)
	if err != nil {
		return r, err
	}
	for i, size := range o.levels([]int{1000, 10_000, 1_000_000}, []int{1000, 10_000}) {
		if err := scaleTo(ctx, s, o, accounts[0], size, i == 0); err != nil {
			return r, serverTrouble(ctx, s, fmt.Errorf("fill the mailbox with %d messages: %w", size, err))
		}
		if err := settle(ctx, s); err != nil {
			return r, err
		}
		if err := measureScale(ctx, c, accounts[0], size, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

func scaleTo(ctx context.Context, s site.Site, o Options, a load.Login, size int, first bool) error {
	client, err := load.DialIMAP(ctx, s.IMAP()[0], a)
	if err != nil {
		return err
	}
	defer client.Close()
	if first {
		return fillMailbox(ctx, client, o, "Large", size)
	}
	if _, err := client.Do("SELECT Large"); err != nil {
		return err
	}
	return copyUp(ctx, client, o, "Large", size)
}

func measureScale(ctx context.Context, c site.Clustered, a load.Login, size int, r *Result) error {
	at := func(name string, d time.Duration) { r.judge(fmt.Sprintf("%s-ms@%d", name, size), ms(d), false) }
	selects, err := selectTime(ctx, c, a)
	if err != nil {
		return err
	}
	at("select", selects)
	if s, ok := c.(snapshotter); ok {
		if took, err := s.Snapshot(ctx); err == nil { // a build without the command is measured without it
			at("snapshot", took)
		}
	}
	node := c.Nodes()[0]
	start := time.Now()
	if err := c.Stop(ctx, node); err != nil {
		return err
	}
	at("stop", time.Since(start))
	start = time.Now()
	if err := c.Start(ctx, node, ""); err != nil {
		return err
	}
	at("start", time.Since(start))
	if err := c.Kill(node); err != nil {
		return err
	}
	start = time.Now()
	if err := c.Start(ctx, node, ""); err != nil {
		return err
	}
	at("start-after-kill", time.Since(start))
	return c.WaitWhole(ctx)
}

// selectTime is the median of many SELECTs over one connection.
func selectTime(ctx context.Context, s site.Site, a load.Login) (time.Duration, error) {
	c, err := load.DialIMAP(ctx, s.IMAP()[0], a)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var times []time.Duration
	for range 101 {
		start := time.Now()
		if _, err := c.Do("SELECT Large"); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
