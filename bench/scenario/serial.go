package scenario

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
	"github.com/rookery-mail/rookery/bench/stats"
)

// located is a site whose files are on this machine.
type located interface {
	// Directory holds the site's files.
	Directory() string
}

// serialParts is into how many parts a serial load is cut; a part of the reference follows each, so that a
// disk that becomes slower or faster does so for both.
const serialParts = 20

// reference is measured between the parts of a serial load.
type reference struct {
	r     *load.Reference // nil where there is none
	times []time.Duration
}

// startReference is without a reference when the load is not serial or the site's disk is not known.
func (d delivery) startReference(s site.Site) (*reference, error) {
	home, ok := s.(located)
	if d.name != "serial" || !ok {
		return &reference{}, nil
	}
	r, err := load.NewReference(home.Directory(), d.sizes(0))
	if err != nil {
		return nil, err
	}
	_, err = r.Measure(20) // to warm up
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &reference{r: r}, nil
}

func (f *reference) close() error {
	if f.r == nil {
		return nil
	}
	return f.r.Close()
}

// deliver runs the load, in parts with the reference between them where there is one.
func (f *reference) deliver(ctx context.Context, in *inbound) error {
	parts, total := 1, in.load.Messages
	if f.r != nil {
		parts = min(serialParts, total)
	}
	for part := range parts {
		from, to := total*part/parts, total*(part+1)/parts
		if err := in.deliver(ctx, from, to-from); err != nil {
			return err
		}
		if f.r == nil {
			continue
		}
		times, err := f.r.Measure(to - from)
		if err != nil {
			return err
		}
		f.times = append(f.times, times...)
	}
	return nil
}

// tell adds the reference's figures to those of the load.
func (f *reference) tell(r *Result) {
	if len(f.times) == 0 {
		return
	}
	var values []float64
	for _, t := range f.times {
		values = append(values, float64(t.Nanoseconds())/1e6)
	}
	slices.Sort(values)
	median := stats.Percentile(values, 0.5)
	r.add("reference-p50-ms", median)
	r.add("reference-p99-ms", stats.Percentile(values, 0.99))
	if p50, ok := r.Get("p50-ms"); ok && median > 0 {
		r.add("x-reference", p50/median)
	}
	r.note("the reference: two synced writes of a message's size, one after the other, and a round trip over loopback, in turn with the load")
}
