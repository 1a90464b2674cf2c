// Package models holds what was learnt of unwanted mail in memory, so that every node classifies by the same: the
// model of the whole cluster, which is the sum of what all partitions learnt, wherever they are, and the models of
// accounts that get mail. They are read anew some time after they changed. It learns nothing (mta/bayes/training
// does) and decides nothing about messages.
package models

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/training"
)

// The defaults of Config.
const (
	DefaultRefresh  = 10 * time.Second
	DefaultPatience = 2 * time.Second
	DefaultTokens   = 1 << 20
)

// Config is what Models are made of. Fields without a default are required.
type Config struct {
	// Snapshot shows a partition, here or at another node. The caller closes it.
	Snapshot func(g cluster.GroupID) (kv.Snapshot, error)
	// Partitions lists all of them.
	Partitions func() ([]cluster.GroupID, error)
	// Locate says which partition holds an account.
	Locate func(a index.AccountID) (cluster.GroupID, error)
	// Least is how many messages of each kind a model must have learnt before it counts.
	Least func() int
	// Refresh is for how long a model is used before it is looked at whether it changed; zero is DefaultRefresh.
	Refresh time.Duration
	// Patience is how long a message waits for the model of its account; zero is DefaultPatience.
	Patience time.Duration
	// Tokens bounds the cluster's model, and the models of accounts together, 20 octets each; zero is DefaultTokens.
	Tokens int
	Clock  func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: none
}

// Models classifies messages. It is safe for concurrent use. Run keeps the cluster's model up to date; Close ends what
// reads models of accounts.
type Models struct {
	c       Config
	cluster atomic.Pointer[bayes.Model] // nil before the first was read
	parts   parts                       // of the goroutine that runs Run

	mu       sync.Mutex // guards what follows
	accounts accounts
	closed   bool
	loading  sync.WaitGroup
}

// New returns Models that know nothing yet.
func New(c Config) *Models {
	if c.Refresh == 0 {
		c.Refresh = DefaultRefresh
	}
	if c.Patience == 0 {
		c.Patience = DefaultPatience
	}
	if c.Tokens == 0 {
		c.Tokens = DefaultTokens
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Models{c: c, parts: parts{}, accounts: newAccounts(c.Tokens)}
}

// Classify says what the account's model and the cluster's make of a message; account 0 is the cluster's alone. It is not ok where
// neither has learnt enough. It does not fail: a model that cannot be read in time is as one that knows nothing.
func (m *Models) Classify(ctx context.Context, a index.AccountID, t *bayes.Tokens) (o bayes.Opinion, ok bool) {
	return m.Of(ctx, a).Classify(t)
}

// Pair are the models that messages for an account are classified by. They do not change.
type Pair struct {
	own, cluster *bayes.Model // nil: knows nothing
	least        int
}

// Of returns the models for an account, as Classify uses them. It is for who has not read the message yet, and would in vain.
func (m *Models) Of(ctx context.Context, a index.AccountID) Pair {
	p := Pair{cluster: m.cluster.Load(), least: m.c.Least()}
	if a != training.Common {
		p.own = m.account(ctx, a)
	}
	return p
}

// Know reports whether one of them has learnt enough: if not, Classify is never ok.
func (p Pair) Know() bool { return p.own.Knows(p.least) || p.cluster.Knows(p.least) }

// Classify says what the models make of a message. It is not ok where they do not know enough.
func (p Pair) Classify(t *bayes.Tokens) (o bayes.Opinion, ok bool) {
	return bayes.Classify(p.own, p.cluster, t, p.least)
}

// Explain is Classify by the account's model as it is now.
func (m *Models) Explain(a index.AccountID, t *bayes.Tokens) (o bayes.Opinion, ok bool, err error) {
	own, _, err := m.read(a)
	if err != nil {
		return o, false, err
	}
	o, ok = bayes.Classify(own, m.cluster.Load(), t, m.c.Least())
	return o, ok, nil
}

// Cluster is the cluster's model; it knows nothing before the first was read.
func (m *Models) Cluster() *bayes.Model { return m.cluster.Load() }

// read reads the model of an account, nil where nothing was learnt.
func (m *Models) read(a index.AccountID) (own *bayes.Model, version uint64, err error) {
	g, err := m.c.Locate(a)
	if err != nil {
		return nil, 0, err
	}
	err = m.look(g, func(r kv.Reader) error {
		rec, err := training.Model(r, a)
		if err != nil || rec.Version == 0 {
			return err
		}
		version = rec.Version
		own, _, err = training.Load(r, a)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read what account %d has learnt: %w", a, err)
	}
	return own, version, nil
}

// look calls fn with a moment of a partition.
func (m *Models) look(g cluster.GroupID, fn func(kv.Reader) error) error {
	s, err := m.c.Snapshot(g)
	if err != nil {
		return err
	}
	defer s.Close()
	return fn(s)
}

// Close waits for models that are being read. Classify reads no more afterwards.
func (m *Models) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.loading.Wait()
}
