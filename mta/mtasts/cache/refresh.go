package cache

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/mta/mtasts"
)

// atOnce is how many policies are fetched at the same time for Refresh.
const atOnce = 4

// Refresh has policies fetched again before they expire, and forgets those that have (RFC 8461, section 10.2). One node of the
// cluster does it now and then. It gives how many were fetched.
func (c *Cache) Refresh(ctx context.Context) (fetched int, err error) {
	type item struct {
		name    string
		kept    mtasts.Kept
		version uint64
	}
	var stale, over []item
	now := c.c.Clock()
	err = c.c.Store.Each(func(name string, k mtasts.Kept, version uint64) error {
		switch {
		case k.Stale(now):
			stale = append(stale, item{name, k, version})
		case !k.Counts(now):
			over = append(over, item{name, k, version})
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read the MTA-STS policies that are kept: %w", err)
	}
	results := make([]bool, len(stale))
	var work errgroup.Group
	work.SetLimit(atOnce)
	for i, it := range stale {
		work.Go(func() error {
			results[i] = c.refresh(ctx, it.name, it.kept, it.version)
			return nil
		})
	}
	_ = work.Wait() // what failed is tried the next time
	for i, it := range stale {
		if results[i] {
			fetched++
		} else if !it.kept.Counts(now) {
			over = append(over, it)
		}
	}
	for _, it := range over {
		if ctx.Err() != nil {
			return fetched, ctx.Err()
		}
		if err := c.c.Store.Remove(ctx, it.name, it.version); err != nil {
			return fetched, fmt.Errorf("forget the MTA-STS policy of %s: %w", it.name, err)
		}
	}
	return fetched, ctx.Err()
}

// refresh fetches one policy, with the id that the domain's record has now. When it was used stays.
func (c *Cache) refresh(ctx context.Context, name string, old mtasts.Kept, version uint64) bool {
	if ctx.Err() != nil {
		return false
	}
	id := old.ID
	if texts, _, err := c.c.Resolver.Texts(ctx, "_mta-sts."+name); err == nil {
		if now, err := mtasts.ParseRecord(texts); err == nil {
			id = now
		}
	}
	text, err := c.c.Fetcher.Fetch(ctx, name)
	var k mtasts.Kept
	if err == nil {
		k, err = mtasts.Keep(id, text, c.c.Clock())
	}
	if err == nil {
		k.Used = old.Used
		err = c.c.Store.Save(ctx, name, k, version)
	}
	if err != nil {
		c.c.Logger.Info("an MTA-STS policy could not be refreshed", "domain", name, "expires", old.Expires().Format(time.RFC3339), "error", err)
	}
	return err == nil
}
