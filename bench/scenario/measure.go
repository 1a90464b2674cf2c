package scenario

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/bench/site"
	"github.com/rookery-mail/rookery/bench/stats"
)

// meter reads what a site uses during a scenario, and samples its memory.
type meter struct {
	site   site.Site
	before site.Usage
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	peak int64 // guarded by mu
}

// memoryEvery is how often memory is sampled.
const memoryEvery = 500 * time.Millisecond

func startMeter(ctx context.Context, s site.Site) (*meter, error) {
	before, err := s.Usage(ctx)
	if err != nil {
		return nil, err
	}
	m := &meter{site: s, before: before, peak: before.Memory}
	ctx, m.cancel = context.WithCancel(ctx)
	if before.Measured {
		m.wg.Go(func() {
			for sleep(ctx, memoryEvery) == nil {
				if u, err := s.Usage(ctx); err == nil {
					m.see(u.Memory)
				}
			}
		})
	}
	return m, nil
}

func (m *meter) see(memory int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peak = max(m.peak, memory)
}

// stop ends the sampling. It may be called more than once.
func (m *meter) stop() {
	m.cancel()
	m.wg.Wait()
}

// finish stops and adds the figures, per unit of n of what is named: CPU seconds per 1,000, fsyncs and
// octets written per one, peak memory.
func (m *meter) finish(ctx context.Context, r *Result, n int, what string) error {
	m.stop()
	after, err := m.site.Usage(ctx)
	if err != nil {
		return err
	}
	m.see(after.Memory)
	used := after.Sub(m.before)
	if !used.Measured || n == 0 {
		r.note("the server's processes are not ours to read: no CPU, disk and memory figures")
		return nil
	}
	r.judge("cpu-s/k"+what, used.CPU.Seconds()/float64(n)*1000, false)
	if used.FsyncsKnown {
		r.judge("fsyncs/"+what, float64(used.Fsyncs)/float64(n), false)
	}
	// What the state database and compactions write falls into one run or into the next.
	r.add("written-B/"+what, float64(used.Written)/float64(n))
	r.add("peak-MiB", float64(m.peak)/(1<<20))
	return nil
}

// percentiles adds p50 to p999 of durations in milliseconds, their names after a prefix. The median may
// be judged: tails of one run are too few samples.
func percentiles(r *Result, prefix string, durations []time.Duration, judged bool) {
	values := make([]float64, len(durations))
	for i, d := range durations {
		values[i] = float64(d.Nanoseconds()) / 1e6
	}
	slices.Sort(values)
	if len(values) == 0 {
		return
	}
	r.Figures = append(r.Figures, Figure{Unit: prefix + "p50-ms", Value: stats.Percentile(values, 0.5), Judged: judged})
	r.add(prefix+"p90-ms", stats.Percentile(values, 0.9))
	r.add(prefix+"p99-ms", stats.Percentile(values, 0.99))
	if len(values) >= 1000 {
		r.add(prefix+"p999-ms", stats.Percentile(values, 0.999))
	}
}

// progressEvery is how often a scenario says how far it is.
const progressEvery = 2 * time.Second

// follow reports a counter until the returned function is called, which waits for the reporter.
func follow(ctx context.Context, o Options, what string, total int, done func() int64) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for sleep(ctx, progressEvery) == nil {
			n := done()
			o.Progress("%s: %d of %d (%d %%)", what, n, total, n*100/int64(max(total, 1)))
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
