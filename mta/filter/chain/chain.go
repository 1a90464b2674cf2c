// Package chain asks the filters of a node about a message, one after the other, each with its time, and each about what those
// before it made of the message. What an answer comes to is decided in mta/filter.
package chain

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/clamd"
	"github.com/rookery-mail/rookery/mta/filter/milter"
	"github.com/rookery-mail/rookery/mta/filter/rspamd"
	"github.com/rookery-mail/rookery/mta/filter/spamd"
)

// Checker asks one filter.
type Checker interface {
	// Check has a message judged. An error is no answer.
	Check(ctx context.Context, m *filter.Message) (filter.Report, error)
}

// Config says how a Chain works. Logger and Clock are required.
type Config struct {
	Logger *slog.Logger
	Clock  func() time.Time
	// Open makes what asks a filter by a setting that has passed Check. Nil: Open of this package.
	Open func(filter.Setting) Checker
}

// Chain is for any number of goroutines. It starts none.
type Chain struct {
	c  Config
	mu sync.Mutex // guards links, which is replaced, never changed
	// links are the filters in their order.
	links []*link
}

// link is one filter.
type link struct {
	setting filter.Setting
	checker Checker
	turns   chan struct{} // has one for each message that the filter is asked about
	counts  *counts
}

// New makes a Chain without filters.
func New(c Config) *Chain {
	if c.Open == nil {
		c.Open = Open
	}
	return &Chain{c: c}
}

// Open makes what asks a filter.
func Open(s filter.Setting) Checker {
	switch s.Kind {
	case filter.Milter:
		return milter.New(s)
	case filter.Rspamd:
		return rspamd.New(s)
	case filter.Spamd:
		return spamd.New(s)
	}
	return clamd.New(s)
}

// Set replaces the filters. A message that is being asked about goes on with those of before. A setting that is not good is
// logged, and asked as one that never answers: what is closed stays closed.
func (c *Chain) Set(settings []filter.Setting) {
	settings = slices.Clone(settings)
	slices.SortFunc(settings, func(a, b filter.Setting) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Name, b.Name))
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	was := map[string]*link{}
	for _, l := range c.links {
		was[l.setting.Name] = l
	}
	c.links = nil
	for _, s := range settings {
		c.links = append(c.links, c.link(s, was[s.Name]))
	}
}

// link makes one for a setting, or keeps that of before where nothing of it changed.
func (c *Chain) link(s filter.Setting, was *link) *link {
	err := s.Check()
	switch {
	case err != nil:
		c.c.Logger.Error("a filter cannot be asked", "filter", s.Name, "error", err)
		s.Timeout, s.Most, s.Over = time.Second, 1<<30, filter.OverHead
		return &link{setting: s, checker: broken{err}, turns: make(chan struct{}, 1), counts: new(counts)}
	case was != nil && was.setting == s:
		return was
	}
	return &link{setting: s, checker: c.c.Open(s), turns: make(chan struct{}, s.AtOnce), counts: new(counts)}
}

// broken is a filter whose setting is not good.
type broken struct{ err error }

func (b broken) Check(context.Context, *filter.Message) (filter.Report, error) {
	return filter.Report{}, b.err
}

// filters gives those that there are.
func (c *Chain) filters() []*link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.links
}
