// Package shaping says how much at a time is sent to each receiver: how many attempts go on, and how many messages a
// minute. It begins with a few, opens slowly as mail is taken, and closes at once where a receiver asks for that or does not
// answer. What it learns is of one node and is kept in memory. It makes no attempts and looks at no clock of its own.
package shaping

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/mta/receiver"
)

// Config is what Sites work with. Clock is required.
type Config struct {
	Clock func() time.Time
	// Limits gives those of a site. Nil: receiver.Known().Of.
	Limits func(site string) receiver.Limits
	Most   int // attempts of all sites at a time; 200
	// Seen hears of each attempt that ended, with the site that it was for. It must not call Sites. Nil: nobody does.
	Seen func(site string, o Outcome)
}

// The bounds of what is remembered, how many attempts a site begins with, and for how long its limits are not asked for again.
const (
	maxSites   = 10_000
	maxDomains = 100_000
	first      = 3
	limitsAge  = 5 * time.Second
)

// Sites are the receivers of a node. A site is named as receiver.Site does.
type Sites struct {
	c Config

	mu      sync.Mutex // guards what follows
	all     int
	sites   map[string]*site
	domains map[string]string // the site that takes the mail of a domain, where that was seen
}

// New makes Sites.
func New(c Config) *Sites {
	if c.Limits == nil {
		c.Limits = receiver.Known().Of
	}
	if c.Seen == nil {
		c.Seen = func(string, Outcome) {}
	}
	if c.Most == 0 {
		c.Most = 200
	}
	return &Sites{c: c, sites: map[string]*site{}, domains: map[string]string{}}
}

// site is one receiver.
type site struct {
	name    string
	used    int     // attempts that go on
	most    float64 // attempts that may
	limits  receiver.Limits
	asked   time.Time // when limits were asked for
	pace    float64   // messages a minute that may be sent, as learned; 0: no bound of its own
	bucket  bucket
	recent  window // messages that were taken
	closed  time.Time
	reached time.Time // when a host last spoke
	inRow   int       // failures
	last    string
	counts  Counts
}

// at returns a site, which is made where it is not known.
func (s *Sites) at(name string) *site {
	x := s.sites[name]
	if x == nil {
		if len(s.sites) >= maxSites {
			maps.DeleteFunc(s.sites, func(_ string, x *site) bool { return x.used == 0 && x.counts.Attempts == 0 })
		}
		if len(s.sites) >= maxSites {
			maps.DeleteFunc(s.sites, func(_ string, x *site) bool { return x.used == 0 && x.inRow == 0 })
		}
		x = &site{name: name, most: first}
		s.sites[name] = x
	}
	if now := s.c.Clock(); x.asked.IsZero() || now.Sub(x.asked) > limitsAge {
		x.limits, x.asked = s.c.Limits(name), now
	}
	x.most = min(x.most, float64(x.limits.Connections))
	return x
}

// of is the site that a domain's mail goes to, as far as is known.
func (s *Sites) of(domain string) *site {
	name, ok := s.domains[domain]
	if !ok {
		name = receiver.Site(domain)
	}
	return s.at(name)
}

// full is after which time to ask again where all that may go on does: who asks does not hear of what others end.
const full = 250 * time.Millisecond

// Free is how many attempts for a domain may begin now and, where that is none, when to ask again.
func (s *Sites) Free(domain string) (n int, again time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.c.Clock()
	if s.all >= s.c.Most {
		return 0, now.Add(full)
	}
	n, again = s.of(domain).free(now)
	return min(n, s.c.Most-s.all), again
}

// free is how many attempts may begin.
func (x *site) free(now time.Time) (n int, again time.Time) {
	if now.Before(x.closed) {
		return 0, x.closed
	}
	if n = int(x.most) - x.used; n <= 0 {
		return 0, now.Add(full)
	}
	rate := x.rate()
	if rate == 0 {
		return n, time.Time{}
	}
	tokens, again := x.bucket.look(rate, now)
	if tokens > 0 {
		again = time.Time{}
	}
	return min(n, tokens), again
}

// rate is how many messages a minute there may be, 0 for no bound.
func (x *site) rate() float64 {
	limit := float64(x.limits.Rate)
	if x.pace == 0 || limit > 0 && limit < x.pace {
		return limit
	}
	return x.pace
}

// Lane is an attempt that goes on.
type Lane struct {
	s      *Sites
	domain string
	site   *site
	done   bool
}

// Enter begins an attempt for a domain, ok false where there is no room. Leave ends it.
func (s *Sites) Enter(domain string) (l *Lane, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of(domain)
	if n, _ := x.free(s.c.Clock()); s.all >= s.c.Most || n == 0 {
		return nil, false
	}
	s.all++
	l = &Lane{s: s, domain: domain, site: x}
	x.enter(s.c.Clock())
	return l, true
}

func (x *site) enter(now time.Time) {
	x.used++
	if rate := x.rate(); rate > 0 {
		x.bucket.take(rate, now)
	}
}

// Move has the attempt count for a site, and so those for its domain that come after it. It reports whether
// there was room, and else when there may be.
func (l *Lane) Move(name string) (again time.Time, ok bool) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.done || l.site.name == name {
		return time.Time{}, true
	}
	if len(l.s.domains) >= maxDomains {
		clear(l.s.domains)
	}
	l.s.domains[strings.Clone(l.domain)] = name
	now := l.s.c.Clock()
	l.site.used--
	l.site.bucket.give()
	l.site = l.s.at(name)
	n, again := l.site.free(now)
	l.site.enter(now)
	return again, n > 0
}

// Leave ends the attempt and learns from what came of it.
func (l *Lane) Leave(o Outcome) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.done {
		return
	}
	l.done = true
	l.s.all--
	l.site.used--
	l.site.learn(o, l.s.c.Clock())
	l.s.c.Seen(l.site.name, o)
}

// State is a site as it is now.
type State struct {
	Site        string
	Attempts    int // that go on
	Most        int // that may
	Rate        int // messages a minute that may be sent; 0: no bound
	ClosedUntil time.Time
	Failures    int    // in a row
	Last        string // what went wrong last
	Counts      Counts
}

// States lists the sites by name that something was sent to, or was to be.
func (s *Sites) States() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]State, 0, len(s.sites))
	for _, name := range slices.Sorted(maps.Keys(s.sites)) {
		x := s.sites[name]
		if x.used == 0 && x.counts.Attempts == 0 {
			continue // the site of a domain until it is known who takes its mail
		}
		out = append(out, State{Site: name, Attempts: x.used, Most: int(x.most), Rate: int(x.rate()), ClosedUntil: x.closed,
			Failures: x.inRow, Last: x.last, Counts: x.counts})
	}
	return out
}

// SiteOf is where mail for a domain goes, as far as is known.
func (s *Sites) SiteOf(domain string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name, ok := s.domains[domain]; ok {
		return name
	}
	return receiver.Site(domain)
}
