package scenario

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
	"github.com/rookery-mail/rookery/bench/stats"
)

// levels are those of the options, or the scenario's own; a quick run takes small ones.
func (o Options) levels(own, quick []int) []int {
	switch {
	case len(o.Levels) > 0:
		return o.Levels
	case o.Quick:
		return quick
	}
	return own
}

// The fill: transactions of fifty recipients, so that three million messages take minutes. Each partition that
// has recipients keeps the body once, each recipient a record of its own.
const (
	growAccounts    = 100
	growRecipients  = 50
	growConnections = 20
	growSize        = 4 << 10
	growRounds      = 3
	// growRoom is the disk that a stored message takes on each node at most, its share of the body and of
	// what compactions write beside it included.
	growRoom = 6 << 10
)

// growth is a site that fills up, and the empty one beside it at each level.
type growth struct {
	site     site.Site
	options  Options
	accounts []load.Login
	stored   int // messages
	bodies   int // transactions of the fill
	result   *Result
}

// runGrowth measures the same delivery load at growing numbers of stored messages, in turns with a fresh site
// of the same build where one can be started: a disk and neighbours that change within minutes meet both.
func runGrowth(ctx context.Context, s site.Site, o Options) (Result, error) {
	r := Result{Scenario: "growth", Site: s.Name()}
	accounts, err := s.Accounts(ctx, o.accounts(growAccounts))
	if err != nil {
		return r, err
	}
	g := &growth{site: s, options: o, accounts: accounts, result: &r}
	empty, kept := 0.0, 0.0
	for i, level := range o.levels([]int{0, 100_000, 3_000_000}, []int{0, 20_000}) {
		if err := g.fill(ctx, level, i); err != nil {
			return r, serverTrouble(ctx, s, fmt.Errorf("fill up to %d messages: %w", level, err))
		}
		rates, fresh, err := g.measure(ctx, level, i)
		if err != nil {
			return r, err
		}
		if i == 0 {
			empty = middle(rates)
		}
		var ratios []float64
		for j, rate := range rates {
			base := empty
			if fresh != nil {
				base = fresh[j]
			}
			ratios = append(ratios, rate/base*100)
		}
		kept = middle(ratios)
		r.tell(fmt.Sprintf("msg/s@%d", level), middle(rates))
		r.tell(fmt.Sprintf("kept-%%@%d", level), kept)
		r.tell(fmt.Sprintf("kept-least-%%@%d", level), slices.Min(ratios))
	}
	r.judge("rate-kept-%", kept, true)
	if o.Twin != nil {
		r.note("kept: the rate over that of an empty site in turns with it, the median of %d rounds and the least; at the first level it shows the noise", growRounds)
	} else {
		r.note("kept: the rate over that at the first level, the median of %d rounds and the least", growRounds)
	}
	return r, nil
}

func middle(values []float64) float64 { return stats.Summarize(values).Median }

// measure gives the rates of the filled site, round by round, and those of a fresh one, nil where none can
// be started.
func (g *growth) measure(ctx context.Context, level, step int) (rates, fresh []float64, err error) {
	d := delivery{name: "growth", sizes: corpus.Fixed(growSize), messages: 8000, connections: growConnections}
	var twin site.Site
	if g.options.Twin != nil {
		if twin, err = g.options.Twin(ctx); err != nil {
			return nil, nil, err
		}
		defer func() { err = errors.Join(err, twin.Close()) }()
	}
	var cpu []float64
	for round := range growRounds {
		o := g.options
		o.Accounts = 0
		o.Run = fmt.Sprintf("%s.g%d.%d", o.Run, step, round)
		o.Progress("growth: level %d, round %d of %d", level, round+1, growRounds)
		var both [2]Result
		if twin != nil {
			both, err = d.pair(ctx, [2]site.Site{g.site, twin}, round%2, o)
		} else {
			both[0], err = d.run(ctx, g.site, o)
		}
		if err != nil {
			return nil, nil, err
		}
		g.stored += o.messages(d.messages)
		rate, _ := both[0].Get("msg/s")
		rates = append(rates, rate)
		if twin != nil {
			rate, _ = both[1].Get("msg/s")
			fresh = append(fresh, rate)
		}
		if v, ok := both[0].Get("cpu-s/kmsg"); ok {
			cpu = append(cpu, v)
		}
	}
	if len(cpu) > 0 {
		g.result.add(fmt.Sprintf("cpu-s/kmsg@%d", level), middle(cpu))
	}
	return rates, fresh, nil
}

// fill delivers until the site holds level messages, and waits until it rests.
func (g *growth) fill(ctx context.Context, level, step int) error {
	missing := level - g.stored
	if missing <= 0 {
		return nil
	}
	home, local := g.site.(located)
	if local {
		if err := site.Room(home.Directory(), uint64(missing)*growRoom*uint64(max(1, len(g.site.MX())))); err != nil {
			return err
		}
	}
	each := min(growRecipients, len(g.accounts))
	l := load.Delivery{Doors: g.site.MX(), PerMessage: each, Connections: growConnections, Done: new(atomic.Int64),
		Messages: (missing + each - 1) / each,
		Source:   corpus.NewGenerator(fmt.Sprintf("%s.f%d", g.options.Run, step), corpus.Fixed(growSize))}
	for _, a := range g.accounts {
		l.Recipients = append(l.Recipients, a.Address)
	}
	start := time.Now()
	stop := follow(ctx, g.options, fmt.Sprintf("fill up to %d, in transactions of %d", level, each), l.Messages, l.Done.Load)
	done, err := l.Run(ctx)
	stop()
	if err != nil {
		return err
	}
	took := time.Since(start)
	g.stored, g.bodies = g.stored+done.Accepted*each, g.bodies+done.Accepted
	rested := "after which the servers came to rest"
	if err := settle(ctx, g.site); errors.Is(err, errRestless) {
		rested = "after which the servers were still at work: " + err.Error()
	} else if err != nil {
		return err
	}
	g.result.note("level %d: %d messages in %d accounts, of %d bodies of %d octets with %d recipients each, filled in %.0f s, %s",
		level, g.stored, len(g.accounts), g.bodies, growSize, each, took.Seconds(), rested)
	if local {
		octets, err := diskUse(home.Directory())
		if err != nil {
			return err
		}
		g.result.add(fmt.Sprintf("disk-MiB@%d", level), float64(octets)/(1<<20))
	}
	return nil
}

// diskUse adds up the files below a directory. Files that vanish meanwhile count as nothing.
func diskUse(dir string) (int64, error) {
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("add up the files of %s: %w", dir, err)
	}
	return total, nil
}
