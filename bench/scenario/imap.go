package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

func mailboxes() []Scenario {
	var out []Scenario
	for _, m := range []mailbox{{"imap-5k", 5_000, 15}, {"imap-200k", 200_000, 5}} {
		out = append(out, Scenario{Name: m.name, Peers: true, Run: m.run,
			Brief: fmt.Sprintf("IMAP operations on a mailbox of %d messages of 4 KiB", m.size)})
	}
	return out
}

// mailbox is the scenario of IMAP on one large mailbox.
type mailbox struct {
	name   string
	size   int
	rounds int // of each operation; the median counts
}

// bodiesAtMost is how many bodies one FETCH asks for.
const bodiesAtMost = 5000

func (m mailbox) run(ctx context.Context, s site.Site, o Options) (Result, error) {
	r := Result{Scenario: m.name, Site: s.Name()}
	if len(s.IMAP()) == 0 {
		return r, fmt.Errorf("%s: %w: it has no IMAP door", m.name, site.ErrUnsupported)
	}
	accounts, err := s.Accounts(ctx, 1)
	if err != nil {
		return r, err
	}
	c, err := load.DialIMAP(ctx, s.IMAP()[0], accounts[0])
	if err != nil {
		return r, err
	}
	defer c.Close()
	size := o.messages(m.size)
	if err := fillMailbox(ctx, c, o, "bench-"+o.Run, size); err != nil {
		return r, serverTrouble(ctx, s, err)
	}
	if err := settle(ctx, s); err != nil {
		return r, err
	}
	meter, err := startMeter(ctx, s)
	if err != nil {
		return r, err
	}
	defer meter.stop()
	ops := m.operations(o, "bench-"+o.Run, size)
	for _, op := range ops {
		o.Progress("%s: %s", m.name, op.name)
		if err := op.measure(ctx, c, m.rounds, &r); err != nil {
			return r, serverTrouble(ctx, s, fmt.Errorf("%s: %w", op.name, err))
		}
	}
	r.note("a mailbox of %d messages; medians of %d rounds; searches after up to %v for an index", size, m.rounds, indexPatience(size))
	return r, meter.finish(ctx, &r, m.rounds*len(ops), "op")
}

// operation is one thing that clients do; before runs unmeasured in front of each round.
type operation struct {
	name   string
	before func(c *load.IMAP, round int) error
	run    func(c *load.IMAP, round int) error
}

func (p operation) measure(ctx context.Context, c *load.IMAP, rounds int, r *Result) error {
	var times []time.Duration
	for i := range rounds + 1 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.before != nil {
			if err := p.before(c, i); err != nil {
				return err
			}
		}
		start := time.Now()
		if err := p.run(c, i); err != nil {
			return err
		}
		if i > 0 { // the first one warms up
			times = append(times, time.Since(start))
		}
	}
	slices.Sort(times)
	r.judge(p.name+"-ms", float64(times[len(times)/2].Nanoseconds())/1e6, false)
	return nil
}

// do makes an operation of one command.
func do(command string) func(*load.IMAP, int) error {
	return func(c *load.IMAP, _ int) error {
		_, err := c.Do(command)
		return err
	}
}

func (m mailbox) operations(o Options, box string, size int) []operation {
	all := fmt.Sprintf("1:%d", size)
	src := corpus.NewGenerator(o.Run+"op", corpus.Fixed(4<<10))
	sign := [2]string{"+", "-"}
	last := fmt.Sprintf("%d:%d", max(1, size-99), size)
	return []operation{
		{name: "select", run: do("SELECT " + box)},
		{name: "fetch-flags", run: do("FETCH " + all + " (UID FLAGS)")},
		{name: "fetch-envelopes", run: do("FETCH " + all + " (UID ENVELOPE BODYSTRUCTURE)")},
		{name: "fetch-bodies", run: do(fmt.Sprintf("FETCH 1:%d (UID BODY.PEEK[])", min(size, bodiesAtMost)))},
		{name: "search-subject", run: do("SEARCH SUBJECT seminar"), before: onFirst(awaitIndex(size))},
		{name: "search-body", run: do("SEARCH BODY zanzibar")},
		{name: "store", run: func(c *load.IMAP, i int) error {
			_, err := c.Do("STORE " + all + " " + sign[i%2] + "FLAGS (\\Flagged)")
			return err
		}},
		{name: "append", run: func(c *load.IMAP, i int) error {
			return c.Append(box, "\\Seen", [][]byte{src.Append(nil, i)})
		}},
		{name: "move-100", run: func(c *load.IMAP, _ int) error {
			if _, err := c.Do("MOVE " + last + " Elsewhere"); err != nil {
				return err
			}
			return nil
		}, before: func(c *load.IMAP, round int) error { return refill(c, box, size, round == 0) }},
		{name: "expunge-100", run: do("EXPUNGE"), before: func(c *load.IMAP, _ int) error {
			if err := refill(c, box, size, false); err != nil {
				return err
			}
			_, err := c.Do("STORE " + last + " +FLAGS.SILENT (\\Deleted)")
			return err
		}},
	}
}

// onFirst makes what runs in front of the first round alone.
func onFirst(fn func(*load.IMAP) error) func(*load.IMAP, int) error {
	return func(c *load.IMAP, round int) error {
		if round > 0 {
			return nil
		}
		return fn(c)
	}
}

// indexPatience is how long a server has to make an index of a mailbox that is searched, before its searches are measured.
func indexPatience(size int) time.Duration {
	return 15*time.Second + time.Duration(size)*time.Second/2000
}

// indexed is a search that only an index explains, at any size of a mailbox.
const indexed = 10 * time.Millisecond

// awaitIndex searches until a fiftieth of what the first search took is enough: a server may index a mailbox once somebody
// searches it, and a part of an index is none. One that has none is given the same time.
func awaitIndex(size int) func(*load.IMAP) error {
	return func(c *load.IMAP) error {
		var first time.Duration
		patience := indexPatience(size)
		for began := time.Now(); time.Since(began) < patience; time.Sleep(500 * time.Millisecond) {
			start := time.Now()
			if _, err := c.Do("SEARCH BODY zanzibar"); err != nil {
				return err
			}
			took := time.Since(start)
			if first == 0 {
				first = took
			}
			if took < max(first/50, indexed) {
				break
			}
		}
		return nil
	}
}

// refill copies messages until the mailbox has at least size of them again.
func refill(c *load.IMAP, box string, size int, first bool) error {
	if first {
		if _, err := c.Do("CREATE Elsewhere"); err != nil {
			return err
		}
	}
	n, err := c.Count(box)
	if err != nil || n >= size {
		return err
	}
	if _, err := c.Do(fmt.Sprintf("COPY 1:%d %s", size-n, box)); err != nil {
		return err
	}
	_, err = c.Do("NOOP")
	return err
}
