package dmarcpost

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
)

// CollectorConfig says how a Collector works. All but Clock is required.
type CollectorConfig struct {
	Node      string // this one
	Directory Directory
	Wanted    func() bool // whether reports are made at all
	Every     time.Duration
	Clock     func() time.Time
	Logger    *slog.Logger
}

// Collector counts what comes to this node. Observe is for any number of goroutines.
type Collector struct {
	c CollectorConfig

	mu   sync.Mutex // guards what follows
	days map[dayOf]*dmarcreport.Tally
	rows int // at most, of all days
}

// The bounds of what is counted.
const (
	maxDays   = 2000      // domains' days in memory; others are not counted
	maxRows   = 20_000    // of them all; what comes above is counted without telling it
	maxCounts = 48 << 10  // octets of a record
	batch     = 200 << 10 // octets of records that one command brings to the directory
)

// NewCollector makes a Collector.
func NewCollector(c CollectorConfig) *Collector {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Collector{c: c, days: map[dayOf]*dmarcreport.Tally{}}
}

// Observe counts a message; junk says that it was put to Junk or refused.
func (c *Collector) Observe(p dmarcreport.Published, row dmarcreport.Row, junk bool) {
	if p.Domain == "" || !c.c.Wanted() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.at(dayAt(c.c.Clock(), p.Domain))
	if t == nil {
		return
	}
	t.Policy = p
	if junk {
		t.Junk += row.Count
	}
	if c.rows >= maxRows {
		t.CountOnly(row)
		return
	}
	before := len(t.Rows)
	t.Count(row)
	c.rows += len(t.Rows) - before
}

// at is what is counted of a domain's day, nil where there is no room for another. mu is held.
func (c *Collector) at(key dayOf) *dmarcreport.Tally {
	t := c.days[key]
	if t == nil && len(c.days) < maxDays {
		t = new(dmarcreport.Tally)
		c.days[key] = t
	}
	return t
}

// lastWords is how long the counts may take to get to the directory when the node stops.
const lastWords = 3 * time.Second

// Run brings the counts to the directory every now and then, and when ctx ends.
func (c *Collector) Run(ctx context.Context) {
	tick := time.NewTicker(c.c.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
			defer cancel()
			c.Flush(last)
			return
		case <-tick.C:
			c.Flush(ctx)
		}
	}
}

// Flush brings the counts to the directory. What cannot be brought is kept for the next time.
func (c *Collector) Flush(ctx context.Context) {
	c.mu.Lock()
	days := c.days
	c.days, c.rows = map[dayOf]*dmarcreport.Tally{}, 0
	c.mu.Unlock()
	if err := c.bring(ctx, days); err != nil {
		c.c.Logger.Warn("what came in the name of other domains could not be kept yet", "domains", len(days), "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	oldest := c.c.Clock().Add(-lateDays * 24 * time.Hour)
	for key, t := range days {
		if into := c.at(key); into != nil && key.start().After(oldest) {
			before := len(into.Rows)
			into.Merge(*t)
			c.rows += len(into.Rows) - before
		}
	}
}

// bring takes away from days what is in the directory, or comes too late.
func (c *Collector) bring(ctx context.Context, days map[dayOf]*dmarcreport.Tally) error {
	var failed error
	var changes []directory.MailChange
	var taken []dayOf
	size := 0
	put := func() {
		if len(changes) > 0 {
			if err := c.c.Directory.Put(ctx, changes...); err != nil {
				failed = err
			} else {
				for _, key := range taken {
					delete(days, key)
				}
			}
		}
		changes, taken, size = nil, nil, 0
	}
	for key, t := range days {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		change, err := c.change(key, *t)
		switch {
		case errors.Is(err, errLate):
			delete(days, key)
			continue
		case err != nil:
			failed = err
			continue
		}
		changes, taken = append(changes, change), append(taken, key)
		if size += change.Record.SizeVT(); size >= batch {
			put()
		}
	}
	put()
	return failed
}

// errLate says that the report is made, or that counts cannot be kept under the domain's name.
var errLate = errors.New("the report is made already")

// change adds counts to those of this node that are in the directory already.
func (c *Collector) change(key dayOf, t dmarcreport.Tally) (directory.MailChange, error) {
	name := key.counts(c.c.Node)
	if len(name) > maxName {
		return directory.MailChange{}, errLate
	}
	var version uint64
	all := t
	err := c.c.Directory.View(func(v directory.View) error {
		if _, err := v.MailRecord(directory.MailDMARCResults, key.claim()); err == nil {
			return errLate
		}
		is, err := v.MailRecord(directory.MailDMARCResults, name)
		if errors.Is(err, directory.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		before, err := dmarcreport.UnpackTally(is.GetDmarcResults().GetResults())
		if err != nil {
			return err
		}
		version = is.Version
		before.Merge(t)
		all = before
		return nil
	})
	if err != nil {
		return directory.MailChange{}, err
	}
	data, err := all.Pack(maxCounts)
	if err != nil {
		return directory.MailChange{}, err
	}
	return directory.MailChange{Expected: &version, Record: recordOf(name, &directorypb.DmarcResults{Results: data, Until: c.c.Clock().UnixMilli()})}, nil
}
