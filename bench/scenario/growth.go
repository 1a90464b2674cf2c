package scenario

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// levels are those of the options, or the scenario's own; a quick run takes small ones.
func (o Options) levels(own, quick []int) []int {
	switch {
	case len(o.Levels) > 0:
		return o.Levels
	case o.Quick:
		return quick
	}
	return own
}

// runGrowth measures the same delivery load at growing numbers of stored messages. They are made by COPY
// over all accounts: the store grows by records, not by bodies, which Rookery keeps once.
func runGrowth(ctx context.Context, s site.Site, o Options) (Result, error) {
	r := Result{Scenario: "growth", Site: s.Name()}
	if len(s.IMAP()) == 0 {
		return r, fmt.Errorf("growth: %w: it has no IMAP door", site.ErrUnsupported)
	}
	accounts, err := s.Accounts(ctx, o.accounts(20))
	if err != nil {
		return r, err
	}
	first, last := 0.0, 0.0
	for i, level := range o.levels([]int{0, 100_000, 3_000_000}, []int{0, 20_000}) {
		if err := growTo(ctx, s, o, accounts, level, i); err != nil {
			return r, serverTrouble(ctx, s, fmt.Errorf("fill up to %d messages: %w", level, err))
		}
		at := o
		at.Run = fmt.Sprintf("%s.g%d", o.Run, i)
		one, err := delivery{name: "growth", sizes: corpus.Fixed(4 << 10), messages: 20_000, connections: 20}.run(ctx, s, at)
		if err != nil {
			return r, err
		}
		for _, unit := range []string{"msg/s", "cpu-s/kmsg", "p99-ms"} {
			if v, ok := one.Get(unit); ok {
				r.add(fmt.Sprintf("%s@%d", unit, level), v)
			}
		}
		last, _ = one.Get("msg/s")
		if i == 0 {
			first = last
		}
	}
	r.judge("rate-kept-%", last/first*100, true)
	return r, nil
}

// growTo brings every account's share of the level into a mailbox of its own.
func growTo(ctx context.Context, s site.Site, o Options, accounts []load.Login, level, step int) error {
	if level == 0 {
		return nil
	}
	o.Run = fmt.Sprintf("%s.f%d", o.Run, step)
	for _, a := range accounts {
		c, err := load.DialIMAP(ctx, s.IMAP()[0], a)
		if err != nil {
			return err
		}
		err = growOne(ctx, c, o, level/len(accounts))
		c.Close()
		if err != nil {
			return err
		}
	}
	return settle(ctx, s)
}

// growOne fills the mailbox Grown with share messages: a few hundred are sent, the rest are copies.
func growOne(ctx context.Context, c *load.IMAP, o Options, share int) error {
	if n, err := c.Count("Grown"); err != nil || n == 0 {
		if err := fillMailbox(ctx, c, o, "Grown", min(share, 250)); err != nil {
			return err
		}
	}
	if _, err := c.Do("SELECT Grown"); err != nil {
		return err
	}
	return copyUp(ctx, c, o, "Grown", share)
}
