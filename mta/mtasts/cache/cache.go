// Package cache finds the MTA-STS policy of a domain for each message (RFC 8461, section 5.1): the one that the cluster keeps, where it
// still is the domain's, or counts at least; else it has it fetched, and kept. Whoever can suppress DNS or HTTPS for a
// while gains nothing: a policy that was seen counts until it expires.
package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/mtasts"
	"github.com/rookery-mail/rookery/mta/mtasts/fetch"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Resolver asks DNS; *dns.Resolver is one.
type Resolver interface {
	Texts(ctx context.Context, name string) (texts []string, secure bool, err error)
}

// Fetcher gets policies; *fetch.Fetcher is one. An error may be a *fetch.Error.
type Fetcher interface {
	Fetch(ctx context.Context, domain string) ([]byte, error)
}

// Store keeps policies for the cluster.
type Store interface {
	// Load reads what is kept of a domain, and its version; 0 where nothing is.
	Load(domain string) (mtasts.Kept, uint64, error)
	// Save keeps a policy in the place of the version that was loaded; another's is not overwritten, and is no error.
	Save(ctx context.Context, domain string, k mtasts.Kept, version uint64) error
	// Remove forgets a version.
	Remove(ctx context.Context, domain string, version uint64) error
	// Each calls fn for all that is kept.
	Each(fn func(domain string, k mtasts.Kept, version uint64) error) error
}

// Config says what a Cache works with. Resolver, Fetcher and Store are required.
type Config struct {
	Resolver Resolver
	Fetcher  Fetcher
	Store    Store
	Clock    func() time.Time // nil: time.Now
	Logger   *slog.Logger     // nil: none
}

// Cache is for any number of goroutines.
type Cache struct {
	c Config

	mu      sync.Mutex // guards what follows
	domains map[string]*domain
}

// domain is what this node alone knows of one.
type domain struct {
	busy    chan struct{} // of capacity one: full while a policy is fetched
	waiting int           // who holds or waits for busy
	kept    mtasts.Kept   // where the store could not keep it
	failure tlsrpt.Failure
	detail  string
	until   time.Time // before which what failed is not tried again
}

// Bounds of what a node knows by itself.
const (
	again   = 5 * time.Minute // RFC 8461, section 3.3
	domains = 10_000
)

// New makes a Cache.
func New(c Config) *Cache {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Cache{c: c, domains: map[string]*domain{}}
}

// STS finds the policy of a domain; it is remote.Policies.STS.
func (c *Cache) STS(ctx context.Context, name string) (remote.STS, error) {
	k, version, err := c.load(name)
	if err != nil {
		return remote.STS{}, err
	}
	texts, _, err := c.c.Resolver.Texts(ctx, "_mta-sts."+name)
	counts := k.Counts(c.c.Clock())
	id := ""
	switch {
	case err == nil:
		id, _ = mtasts.ParseRecord(texts) // one that is wrong is none (RFC 8461, section 3.1)
	case !errors.Is(err, dns.ErrNoName) && !errors.Is(err, dns.ErrNoRecord) && !counts:
		if ctx.Err() != nil {
			return remote.STS{}, ctx.Err()
		}
		return remote.STS{Unknown: fmt.Errorf("look up whether %s has an MTA-STS policy: %w", name, err)}, nil
	}
	switch {
	case id == "" && !counts:
		return remote.STS{}, nil
	case id == "" || id == k.ID && counts:
		c.touch(ctx, name, k, version)
		return found(k, "", ""), nil
	}
	return c.renew(ctx, name, id)
}

// found is what a policy is to a delivery.
func found(k mtasts.Kept, failure tlsrpt.Failure, detail string) remote.STS {
	s := remote.STS{Failure: failure, Detail: detail}
	if k.Text != nil {
		p := k.Policy
		s.Policy, s.Text = &p, mtasts.Lines(k.Text)
	}
	return s
}

// load reads what is known: what was fetched last, by whomever.
func (c *Cache) load(name string) (mtasts.Kept, uint64, error) {
	k, version, err := c.c.Store.Load(name)
	if err != nil {
		return mtasts.Kept{}, 0, fmt.Errorf("read the MTA-STS policy that is kept of %s: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.domains[name]; d != nil && d.kept.Text != nil && !d.kept.Fetched.Before(k.Fetched) {
		k = d.kept
	}
	return k, version, nil
}

// touch notes that a policy is in use.
func (c *Cache) touch(ctx context.Context, name string, k mtasts.Kept, version uint64) {
	if version == 0 || !k.Touch(c.c.Clock()) {
		return
	}
	if err := c.c.Store.Save(ctx, name, k, version); err != nil {
		c.c.Logger.Debug("the use of an MTA-STS policy could not be noted", "domain", name, "error", err)
	}
}

// renew has the policy with an id fetched, once for all who need it.
func (c *Cache) renew(ctx context.Context, name, id string) (remote.STS, error) {
	d := c.enter(name)
	defer c.leave(name, d)
	select {
	case d.busy <- struct{}{}:
		defer func() { <-d.busy }()
	case <-ctx.Done():
		return remote.STS{}, ctx.Err()
	}
	k, version, err := c.load(name)
	if err != nil {
		return remote.STS{}, err
	}
	now := c.c.Clock()
	switch {
	case id == k.ID && k.Counts(now): // somebody was faster
		return found(k, "", ""), nil
	case !now.Before(d.until):
		fresh, ok := c.fetch(ctx, name, id, d, version)
		if ctx.Err() != nil {
			return remote.STS{}, ctx.Err()
		}
		if ok {
			return found(fresh, "", ""), nil // also one that is not to be kept
		}
	}
	if !k.Counts(now) {
		k = mtasts.Kept{}
	}
	return found(k, d.failure, d.detail), nil
}

// fetch gets a policy and keeps it, or notes why not. Who holds d.busy calls it.
func (c *Cache) fetch(ctx context.Context, name, id string, d *domain, version uint64) (k mtasts.Kept, ok bool) {
	now := c.c.Clock()
	text, err := c.c.Fetcher.Fetch(ctx, name)
	if ctx.Err() != nil {
		return k, false
	}
	failure := tlsrpt.STSPolicyFetchError
	if err == nil {
		failure = tlsrpt.STSPolicyInvalid
		k, err = mtasts.Keep(id, text, now)
	}
	if err != nil {
		var e *fetch.Error
		if errors.As(err, &e) {
			failure = e.Failure
		}
		c.c.Logger.Info("no new MTA-STS policy", "domain", name, "error", err)
		c.mu.Lock()
		defer c.mu.Unlock()
		d.failure, d.detail, d.until = failure, err.Error(), now.Add(again)
		return k, false
	}
	err = c.c.Store.Save(ctx, name, k, version)
	if err != nil {
		c.c.Logger.Warn("an MTA-STS policy is kept by this node alone", "domain", name, "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d.kept, d.failure, d.detail, d.until = mtasts.Kept{}, "", "", time.Time{}
	if err != nil {
		d.kept = k
	}
	return k, true
}

// enter finds what this node knows of a domain, and keeps it there until leave.
func (c *Cache) enter(name string) *domain {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.domains[name]
	if d == nil {
		for other, o := range c.domains {
			if len(c.domains) < domains {
				break
			}
			if o.waiting == 0 {
				delete(c.domains, other)
			}
		}
		d = &domain{busy: make(chan struct{}, 1)}
		c.domains[name] = d
	}
	d.waiting++
	return d
}

func (c *Cache) leave(name string, d *domain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d.waiting--
	if now := c.c.Clock(); d.waiting == 0 && !now.Before(d.until) && d.kept.Text == nil {
		delete(c.domains, name)
	}
}
