package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/bench/site"
)

// observation is how long a node's absence is watched before it comes back.
const observation = 6 * time.Second

// kills is how often a node dies: a third of sixteen partitions lose their leader each time, so that twenty
// kills make more than the hundred gaps that a p99 wants.
func (o Options) kills() int {
	switch {
	case o.Kills > 0:
		return o.Kills
	case o.Quick:
		return 1
	}
	return 20
}

// runFailover kills nodes that lead, one after the other, and brings each back.
func runFailover(ctx context.Context, s site.Site, o Options) (Result, error) {
	r := Result{Scenario: "failover", Site: s.Name()}
	c, ok := s.(site.Clustered)
	if !ok {
		return r, fmt.Errorf("failover: %w", site.ErrUnsupported)
	}
	p, err := startProbes(ctx, c, o)
	if err != nil {
		return r, err
	}
	kills := o.kills()
	var led, others []time.Duration
	for i := range kills {
		node := c.Nodes()[i%len(c.Nodes())]
		o.Progress("failover: kill %s (%d of %d)", node, i+1, kills)
		l, other, kerr := killOne(ctx, c, p, node)
		led, others = append(led, l...), append(others, other...)
		if kerr != nil {
			err = kerr
			break
		}
	}
	book := p.stop()
	if err != nil {
		return r, err
	}
	percentiles(&r, "gap-led-", led, true)
	percentiles(&r, "gap-others-", others, true)
	if len(led) > 0 {
		r.add("gap-led-max-ms", ms(slices.Max(led)))
	}
	r.add("retries", float64(p.retries))
	r.note("%d kills; %d gaps of partitions led by the killed node, %d of others", kills, len(led), len(others))
	return r, book.verify(ctx, s, p.accounts, &r)
}

// killOne gives the gaps of the partitions that the node led, and of the others.
func killOne(ctx context.Context, c site.Clustered, p *probes, node string) (led, others []time.Duration, err error) {
	if err := p.waitAll(ctx, time.Now()); err != nil {
		return nil, nil, err
	}
	leaders, err := c.Leaders(ctx)
	if err != nil {
		return nil, nil, err
	}
	killed := time.Now()
	if err := c.Kill(node); err != nil {
		return nil, nil, err
	}
	err = errors.Join(sleep(ctx, observation), p.waitAll(ctx, killed))
	if err != nil {
		return nil, nil, err
	}
	for i, name := range p.names {
		gap := p.gap(i, killed, time.Now())
		if leaders[name] == node {
			led = append(led, gap)
		} else {
			others = append(others, gap)
		}
	}
	if err := c.Start(ctx, node, ""); err != nil {
		return led, others, err
	}
	return led, others, c.WaitWhole(ctx)
}

// runRehearse replaces the binary of one node after the other while mail flows, as docs/upgrade.md says.
func runRehearse(ctx context.Context, s site.Site, o Options) (Result, error) {
	r := Result{Scenario: "rehearse", Site: s.Name()}
	c, ok := s.(site.Clustered)
	if !ok || o.Binary == "" {
		return r, fmt.Errorf("rehearse: %w: it needs a cluster and a second binary", site.ErrUnsupported)
	}
	p, err := startProbes(ctx, c, o)
	if err != nil {
		return r, err
	}
	err = p.waitAll(ctx, time.Now())
	begin := time.Now()
	for i, node := range c.Nodes() {
		if err == nil {
			o.Progress("rehearse: upgrade %s (%d of %d)", node, i+1, len(c.Nodes()))
			err = upgradeOne(ctx, c, p, node, o.Binary)
		}
	}
	book := p.stop()
	if err != nil {
		return r, err
	}
	var gaps []time.Duration
	for i := range p.names {
		gaps = append(gaps, p.gap(i, begin, time.Now()))
	}
	percentiles(&r, "gap-", gaps, true)
	r.add("retries", float64(p.retries))
	r.add("upgrade-s", time.Since(begin).Seconds())
	r.note("the longest gap of each of %d partitions while %d nodes were replaced", len(gaps), len(c.Nodes()))
	return r, book.verify(ctx, s, p.accounts, &r)
}

func upgradeOne(ctx context.Context, c site.Clustered, p *probes, node, binary string) error {
	if err := c.Stop(ctx, node); err != nil {
		return err
	}
	if err := c.Start(ctx, node, binary); err != nil {
		return err
	}
	if err := c.WaitWhole(ctx); err != nil {
		return err
	}
	return p.waitAll(ctx, time.Now())
}
