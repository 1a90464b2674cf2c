package models

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/training"
)

// entryTokens is what an entry counts as beside its tokens, since most accounts have none.
const entryTokens = 16

// accounts are the models of accounts that were asked for lately: those that are used move to young; when it is full old is
// forgotten, and young becomes old.
type accounts struct {
	room       int // tokens of a generation
	used       int // of young
	young, old map[index.AccountID]*entry
}

// entry is the model of an account. Its fields are guarded by Models.mu.
type entry struct {
	model   *bayes.Model // nil where nothing was learnt, or read
	version uint64
	looked  time.Time     // when it was as in the partition; zero: never
	reading chan struct{} // closed when what is being read is here; nil: nothing is
}

func newAccounts(tokens int) accounts {
	return accounts{room: max(tokens/2, 1), young: map[index.AccountID]*entry{}}
}

// find returns the entry of an account, which may be empty. The caller holds Models.mu.
func (l *accounts) find(a index.AccountID) *entry {
	if e := l.young[a]; e != nil {
		return e
	}
	e := l.old[a]
	if e == nil {
		e = new(entry)
	}
	l.keep(a, e)
	return e
}

// keep has an entry be in young.
func (l *accounts) keep(a index.AccountID, e *entry) {
	if l.used >= l.room {
		l.young, l.old, l.used = map[index.AccountID]*entry{}, l.young, 0
	}
	l.young[a] = e
	l.used += entryTokens + e.model.Len()
}

// account is the model of an account, as it was at most Refresh ago where it can be had in time, else an older one, or nil.
func (m *Models) account(ctx context.Context, a index.AccountID) *bayes.Model {
	m.mu.Lock()
	e := m.accounts.find(a)
	if m.closed || !e.looked.IsZero() && m.c.Clock().Sub(e.looked) < m.c.Refresh {
		defer m.mu.Unlock()
		return e.model
	}
	if e.reading == nil {
		e.reading = make(chan struct{})
		m.loading.Go(func() { m.refresh(a, e) })
	}
	reading := e.reading
	m.mu.Unlock()
	patience := time.NewTimer(m.c.Patience)
	defer patience.Stop()
	select {
	case <-reading:
	case <-patience.C:
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return e.model
}

// refresh reads the model of an account where it changed.
func (m *Models) refresh(a index.AccountID, e *entry) {
	at := m.c.Clock()
	m.mu.Lock()
	have := e.version
	m.mu.Unlock()
	model, version, changed, err := m.newer(a, have)
	if err != nil {
		m.c.Logger.Debug("what an account has learnt cannot be read", "account", a, "error", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	close(e.reading)
	e.reading = nil
	e.looked = at // after an error too: else each message would wait
	if err != nil || !changed {
		return
	}
	if m.accounts.young[a] == e {
		m.accounts.used += model.Len() - e.model.Len()
	}
	e.model, e.version = model, version
}

// newer reads the model of an account where its version is not the one that is here.
func (m *Models) newer(a index.AccountID, have uint64) (model *bayes.Model, version uint64, changed bool, err error) {
	g, err := m.c.Locate(a)
	if err != nil {
		return nil, 0, false, err
	}
	err = m.look(g, func(r kv.Reader) error {
		rec, err := training.Model(r, a)
		if err != nil || rec.Version == have {
			return err
		}
		version, changed = rec.Version, true
		if version != 0 {
			model, _, err = training.Load(r, a)
		}
		return err
	})
	return model, version, changed, err
}
