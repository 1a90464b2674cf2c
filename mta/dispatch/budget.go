package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/egress"
)

// budgetKey is an address and a receiver.
type budgetKey struct{ address, site string }

// budget is what this node may still send of the share that it took of a day's messages. What it took and did not send is
// lost when it ends: less is sent then, never more.
type budget struct {
	mu   sync.Mutex // guards what follows, and is held while a share is taken
	left uint64
	all  bool // the day's messages are given out
}

// budgetOf returns the budget of an address and a receiver for a day.
func (d *Dispatcher) budgetOf(from egress.Address, site, day string) *budget {
	d.mu.Lock()
	defer d.mu.Unlock()
	if day != d.today {
		d.today = day
		clear(d.budgets)
	}
	key := budgetKey{from.Name, site}
	b := d.budgets[key]
	if b == nil {
		b = new(budget)
		d.budgets[key] = b
	}
	return b
}

// grant is messages that may be sent.
type grant struct {
	n  int
	of *budget // that they were taken out of; nil: there is no bound
}

// take takes messages out of the budget of an address: as many as are wanted, or fewer. A message to several counts
// for each of them.
func (d *Dispatcher) take(ctx context.Context, from egress.Address, site string, want int) (grant, error) {
	now := d.c.Clock()
	bound, bounded := from.Bound(now)
	if !bounded {
		return grant{n: want}, nil
	}
	day := egress.DayOf(now)
	b := d.budgetOf(from, site, day)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < uint64(want) && !b.all {
		share, err := d.share(ctx, egress.VolumeName(day, from.Name, site), bound, want)
		if err != nil {
			return grant{}, fmt.Errorf("take a share of what %s may send to %s: %w", from.Name, site, err)
		}
		b.left += share
		b.all = share == 0
	}
	n := min(b.left, uint64(want))
	b.left -= n
	return grant{int(n), b}, nil
}

// giveBack gives back what was taken and not sent: to the day that it was taken from, over or not.
func (g grant) giveBack() {
	if g.of == nil {
		return
	}
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	g.of.left += uint64(g.n)
}

// races is how often a share is asked for that other nodes take shares of too.
const races = 20

// share takes a part of a day's messages for this node, 0 where all are given out. Invariant: the shares of all nodes
// together are never more than bound, since each raises what the record says from what it was.
func (d *Dispatcher) share(ctx context.Context, name string, bound uint64, want int) (uint64, error) {
	for range races {
		var taken, version uint64
		err := d.view(func(v directory.View) error {
			r, err := v.MailRecord(directory.MailVolume, name)
			if errors.Is(err, directory.ErrNotFound) {
				return nil
			}
			taken, version = r.GetVolume().GetTaken(), r.GetVersion()
			return err
		})
		if err != nil || taken >= bound {
			return 0, err
		}
		n := min(egress.Share(bound, want), bound-taken)
		record := &directorypb.MailRecord{Name: name, Record: &directorypb.MailRecord_Volume{Volume: &directorypb.Volume{Taken: taken + n}}}
		err = d.c.Directory.Put(ctx, directory.MailChange{Record: record, Expected: &version})
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, directory.ErrConflict) {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%w: other nodes were first each time", directory.ErrConflict)
}
