package models

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/training"
)

// parts are what each partition learnt. One that cannot be read stays as it was.
type parts map[cluster.GroupID]part

type part struct {
	model   *bayes.Model
	version uint64
}

// Run keeps the cluster's model up to date until ctx ends.
func (m *Models) Run(ctx context.Context) {
	for {
		pause := m.c.Refresh
		if !m.refreshCluster(ctx) {
			pause /= 6 // as after a start
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// Refresh reads the cluster's model now, where it changed. It is for tests, and for who does not call Run.
func (m *Models) Refresh(ctx context.Context) { m.refreshCluster(ctx) }

// refreshCluster reports whether all partitions could be read.
func (m *Models) refreshCluster(ctx context.Context) (complete bool) {
	groups, err := m.c.Partitions()
	if err != nil {
		m.c.Logger.Debug("partitions that learn are not known", "error", err)
		return false
	}
	complete = true
	changed := m.cluster.Load() == nil
	for _, g := range groups {
		if ctx.Err() != nil {
			return false
		}
		again, err := m.refreshPart(g)
		if err != nil {
			m.c.Logger.Debug("what a partition has learnt cannot be read", "partition", g, "error", err)
			complete = false
		}
		changed = changed || again
	}
	if !changed {
		return complete
	}
	models := make([]*bayes.Model, 0, len(groups))
	for _, g := range groups {
		models = append(models, m.parts[g].model)
	}
	m.cluster.Store(bayes.Sum(m.c.Tokens, models...))
	return complete
}

// refreshPart reads what a partition learnt where it changed. While nothing does, that is one key.
func (m *Models) refreshPart(g cluster.GroupID) (changed bool, err error) {
	old := m.parts[g]
	err = m.look(g, func(r kv.Reader) error {
		rec, err := training.Model(r, training.Common)
		if err != nil || rec.Version == old.version {
			return err
		}
		model, _, err := training.Load(r, training.Common)
		if err != nil {
			return err
		}
		m.parts[g], changed = part{model, rec.Version}, true
		return nil
	})
	return changed, err
}
