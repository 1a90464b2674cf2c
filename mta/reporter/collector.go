package reporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// CollectorConfig says how a Collector works. All but Clock is required.
type CollectorConfig struct {
	Node      string // this one
	Directory Directory
	Resolver  Resolver
	Wanted    func() bool // whether reports are made at all
	Every     time.Duration
	Clock     func() time.Time
	Logger    *slog.Logger
}

// Collector counts what this node meets. Observe is for any number of goroutines.
type Collector struct {
	c CollectorConfig

	mu   sync.Mutex // guards what follows
	days map[dayOf]*tlsrpt.Results
}

// dayOf is a domain's day.
type dayOf struct {
	day    tlsrpt.Day
	domain string
}

// maxDays is how many domains' days are kept in memory; others are not counted.
const maxDays = 5000

// batch is how many octets of records one command brings to the directory.
const batch = 200 << 10

// NewCollector makes a Collector.
func NewCollector(c CollectorConfig) *Collector {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Collector{c: c, days: map[dayOf]*tlsrpt.Results{}}
}

// Observe counts an event.
func (c *Collector) Observe(e tlsrpt.Event) {
	if e.Domain == "" || !c.c.Wanted() {
		return
	}
	key := dayOf{tlsrpt.DayOf(c.c.Clock()), e.Domain}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.at(key); r != nil {
		r.Add(e)
	}
}

// at is what is counted of a domain's day, nil where there is no room for another. mu is held.
func (c *Collector) at(key dayOf) *tlsrpt.Results {
	r := c.days[key]
	if r == nil && len(c.days) < maxDays {
		r = new(tlsrpt.Results)
		c.days[key] = r
	}
	return r
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
	c.days = map[dayOf]*tlsrpt.Results{}
	c.mu.Unlock()
	if err := c.bring(ctx, days); err != nil {
		c.c.Logger.Warn("what was met with TLS could not be kept yet", "domains", len(days), "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	oldest := tlsrpt.DayOf(c.c.Clock().Add(-keepDays * 24 * time.Hour))
	for key, r := range days {
		if into := c.at(key); into != nil && key.day >= oldest {
			into.Merge(*r)
		}
	}
}

// bring takes away from days what is in the directory, or wanted by nobody.
func (c *Collector) bring(ctx context.Context, days map[dayOf]*tlsrpt.Results) error {
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
	for key, r := range days {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		change, err := c.change(ctx, key, *r)
		switch {
		case errors.Is(err, errUnwanted):
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

// errUnwanted says that nobody is to be told.
var errUnwanted = errors.New("no report is wanted")

// change adds counts to those of this node that are in the directory already.
func (c *Collector) change(ctx context.Context, key dayOf, r tlsrpt.Results) (directory.MailChange, error) {
	name := resultsName(key.day, key.domain, c.c.Node)
	if len(name) > maxName {
		return directory.MailChange{}, errUnwanted
	}
	if _, err := wish(ctx, c.c.Resolver, key.domain); err != nil {
		return directory.MailChange{}, err
	}
	var version uint64
	err := c.c.Directory.View(func(v directory.View) error {
		if _, err := v.MailRecord(directory.MailTLSResults, claimName(key.day, key.domain)); err == nil {
			return errUnwanted // the report is made
		}
		is, err := v.MailRecord(directory.MailTLSResults, name)
		if errors.Is(err, directory.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		before, err := tlsrpt.DecodeResults(is.GetTlsResults().GetResults())
		if err != nil {
			return err
		}
		version = is.Version
		before.Merge(r)
		r = before
		return nil
	})
	if err != nil {
		return directory.MailChange{}, err
	}
	data, err := r.Encode()
	if err != nil {
		return directory.MailChange{}, err
	}
	return directory.MailChange{Expected: at(version),
		Record: sending(name, &directorypb.TlsResults{Results: data, Until: c.c.Clock().UnixMilli()})}, nil
}

// wish is where a domain wants reports to go, errUnwanted where it wants none.
func wish(ctx context.Context, r Resolver, domain string) (tlsrpt.Record, error) {
	texts, _, err := r.Texts(ctx, tlsrpt.Prefix+domain)
	if errors.Is(err, dns.ErrNoName) || errors.Is(err, dns.ErrNoRecord) {
		return tlsrpt.Record{}, errUnwanted
	}
	if err != nil {
		return tlsrpt.Record{}, err
	}
	record, err := tlsrpt.ParseRecord(texts)
	if err != nil {
		return tlsrpt.Record{}, fmt.Errorf("%w: %w", errUnwanted, err)
	}
	return record, nil
}
