package scenario

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/bench/site"
	"github.com/rookery-mail/rookery/bench/stats"
)

// turnsOfPair is how many turns each site of a pair gets. A turn takes half a second to two: what disturbs the machine
// for longer meets both.
const turnsOfPair = 12

// pair delivers to two sites in turns, A B B A and so on, while both run. CPU and fsyncs are read over all turns, those of
// the other site included: what a site puts off into them is its own work.
func (d delivery) pair(ctx context.Context, sites [2]site.Site, first int, o Options) (out [2]Result, err error) {
	var both [2]*inbound
	for i, s := range sites {
		if both[i], err = d.prepare(ctx, s, o); err != nil {
			return out, err
		}
		defer both[i].close()
	}
	if err := errors.Join(both[0].begin(ctx), both[1].begin(ctx)); err != nil {
		return out, err
	}
	books := [2]turns{newTurns(both[0]), newTurns(both[1])}
	total := both[0].load.Messages
	n := min(turnsOfPair, total)
	for turn := range n {
		from, to := total*turn/n, total*(turn+1)/n
		for i := range both {
			side := (first + turn + i) % 2
			if err := books[side].deliver(ctx, from, to-from); err != nil {
				return out, err
			}
		}
		if err := errors.Join(books[0].account(ctx, to-from), books[1].account(ctx, to-from)); err != nil {
			return out, err
		}
	}
	err = errors.Join(both[0].finish(ctx), both[1].finish(ctx))
	for i := range both {
		both[i].result.note("in %d turns", n)
		out[i] = books[i].result()
	}
	return out, err
}

// turns is what the single turns of an inbound delivery took, by figure.
type turns struct {
	in     *inbound
	before site.Usage
	values map[string][]float64
}

func newTurns(in *inbound) turns {
	return turns{in: in, before: in.meter.before, values: map[string][]float64{}}
}

func (t *turns) add(unit string, value float64) { t.values[unit] = append(t.values[unit], value) }

// deliver is one turn.
func (t *turns) deliver(ctx context.Context, from, n int) error {
	elapsed, seen := t.in.elapsed, len(t.in.latencies)
	if err := t.in.deliver(ctx, from, n); err != nil {
		return err
	}
	t.add("msg/s", float64(n)/(t.in.elapsed-elapsed).Seconds())
	latencies := slices.Sorted(slices.Values(t.in.latencies[seen:]))
	ms := make([]float64, len(latencies))
	for i, l := range latencies {
		ms[i] = float64(l) / float64(time.Millisecond)
	}
	t.add("p50-ms", stats.Percentile(ms, 0.5))
	return nil
}

// account reads what both turns of an index made the site use.
func (t *turns) account(ctx context.Context, n int) error {
	after, err := t.in.site.Usage(ctx)
	if err != nil {
		return err
	}
	used := after.Sub(t.before)
	t.before = after
	if used.Measured {
		t.add("cpu-s/kmsg", used.CPU.Seconds()/float64(n)*1000)
	}
	if used.FsyncsKnown {
		t.add("fsyncs/msg", float64(used.Fsyncs)/float64(n))
	}
	return nil
}

// result is that of the whole delivery with its turns.
func (t *turns) result() Result {
	r := t.in.result
	for i := range r.Figures {
		r.Figures[i].Turns = t.values[r.Figures[i].Unit]
	}
	return r
}

// rateOfPair is the rate of the second of two sites in per cent of the first's: the median of the turns.
func rateOfPair(both [2]Result) (float64, error) {
	without, ok1 := both[0].Figure("msg/s")
	with, ok2 := both[1].Figure("msg/s")
	if !ok1 || !ok2 || len(with.Turns) == 0 || len(with.Turns) != len(without.Turns) {
		return 0, errors.New("a delivery without a rate")
	}
	ratios := make([]float64, len(with.Turns))
	for i := range ratios {
		ratios[i] = 100 * with.Turns[i] / without.Turns[i]
	}
	return stats.Summarize(ratios).Median, nil
}
