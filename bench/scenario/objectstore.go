package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// Store is an object store on this machine.
type Store interface {
	// Flags are those of `rookery blob use` that reach it, behind the URL.
	URL() string
	Flags() []string
	// Stored counts the packs in it and their octets.
	Stored(ctx context.Context) (objects int, octets int64, err error)
	// Slow makes it answer each request so much later; 0 is at once.
	Slow(by time.Duration)
	// Pause freezes it and Resume lets it go on; Kill ends it and Restart starts it again.
	Pause() error
	Resume() error
	Kill()
	Restart(ctx context.Context) error
	// Close ends it and removes its files.
	Close() error
}

// operated is a site that takes an operator's commands.
type operated interface {
	site.Site
	// Command runs the program's command line on a node.
	Command(ctx context.Context, args ...string) ([]byte, error)
}

// coldBodies is how many messages are read that are in the store alone.
const coldBodies = 1000

// quickStored is how many messages a quick pass delivers: with fewer, each partition makes one pack, and the
// number of requests for a message tells nothing.
const quickStored = 10_000

// objectStore is the scenario of two sites that are alike, one with an object store.
type objectStore struct {
	options  Options
	delivery delivery
	sites    [2]site.Site // embedded, and with the store
	stored   operated     // the second of them
	store    Store
	result   Result
}

// runObjectStore holds a cluster with an object store against one without, in turns: while the store works, while
// it is slow, hangs and is away. What is in the bucket is measured when all is packed, and a mailbox is read that is
// nowhere else.
func runObjectStore(ctx context.Context, s site.Site, o Options) (r Result, err error) {
	if o.Twin == nil || o.Store == nil {
		return r, fmt.Errorf("object-store: %w: it needs a second cluster and a store of its own", site.ErrUnsupported)
	}
	if o.Quick && o.Messages == 0 {
		o.Messages = quickStored
	}
	x := &objectStore{options: o, result: Result{Scenario: "object-store", Site: s.Name()}, delivery: delivery{name: "object-store",
		sizes: corpus.Fixed(4 << 10), messages: 20_000, connections: 20}}
	twin, err := o.Twin(ctx)
	if err != nil {
		return x.result, err
	}
	defer func() { err = errors.Join(err, twin.Close()) }()
	stored, ok := twin.(operated)
	if !ok {
		return x.result, fmt.Errorf("object-store: %w: it takes no commands", site.ErrUnsupported)
	}
	x.sites, x.stored = [2]site.Site{s, twin}, stored
	if x.store, err = o.Store(ctx); err != nil {
		return x.result, err
	}
	defer func() { err = errors.Join(err, x.store.Close()) }()
	// Packs are made while messages come in, not hours later as in a real cluster, so that what
	// packing takes is measured too; by size and not by age, so that their number is that of every machine.
	args := append([]string{"blob", "use", x.store.URL(), "--pack-size", "1MiB"}, x.store.Flags()...)
	if _, err := stored.Command(ctx, args...); err != nil {
		return x.result, err
	}
	for _, step := range []func(context.Context) error{x.working, x.packed, x.cold, x.slow, x.hanging, x.away} {
		if err := step(ctx); err != nil {
			return x.result, err
		}
	}
	x.result.note("two clusters in turns; packs of 1 MiB, where 32 MiB are the default")
	return x.result, nil
}

// deliver measures both sites in turns, and adds the rate with the store in per cent of the one without.
func (x *objectStore) deliver(ctx context.Context, prefix string, share int) (both [2]Result, err error) {
	o := x.options
	o.Run += prefix
	o.Messages = max(20, o.messages(x.delivery.messages)/share)
	if both, err = x.delivery.pair(ctx, x.sites, 0, o); err != nil {
		return both, err
	}
	rate, err := rateOfPair(both)
	if err == nil {
		x.result.judge(prefix+"rate-%", rate, true)
	}
	return both, err
}

// working measures deliveries while the store works.
func (x *objectStore) working(ctx context.Context) error {
	both, err := x.deliver(ctx, "", 1)
	if err != nil {
		return err
	}
	for i, prefix := range []string{"embedded-", ""} {
		for _, f := range both[i].Figures {
			f.Turns, f.Judged = nil, false
			f.Unit = prefix + f.Unit
			if i == 1 || f.Unit == "embedded-msg/s" || f.Unit == "embedded-p50-ms" || f.Unit == "embedded-cpu-s/kmsg" {
				x.result.Figures = append(x.result.Figures, f)
			}
		}
	}
	return nil
}

// blobStats is what `rookery blob stats` tells, as far as it is needed here.
type blobStats struct {
	Packs      int            `json:"packs"`
	LiveBytes  int64          `json:"live_bytes"`
	DeadBytes  int64          `json:"dead_bytes"`
	LiveBodies int64          `json:"live_bodies"`
	Packed     int64          `json:"packed_bodies"`
	Requests   map[string]int `json:"requests"`
}

// all counts the requests of all kinds.
func (b blobStats) all() (n int) {
	for _, count := range b.Requests {
		n += count
	}
	return n
}

// flush packs everything and reads the figures of the store.
func (x *objectStore) flush(ctx context.Context) (b blobStats, err error) {
	if _, err := x.stored.Command(ctx, "blob", "flush", "--wait", "5m"); err != nil {
		return b, err
	}
	return x.stats(ctx)
}

func (x *objectStore) stats(ctx context.Context) (b blobStats, err error) {
	out, err := x.stored.Command(ctx, "blob", "stats", "--format", "json")
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(out, &b); err != nil {
		return b, fmt.Errorf("read what rookery blob stats tells: %w", err)
	}
	return b, nil
}

// chunkOverhead is what each body of one chunk takes in a pack beside its compressed octets: a checksum.
const chunkOverhead = 8

// packed measures what the deliveries took of the store, once everything is packed.
func (x *objectStore) packed(ctx context.Context) error {
	start := time.Now()
	b, err := x.flush(ctx)
	if err != nil {
		return err
	}
	if b.Packed == 0 {
		return errors.New("no body was packed")
	}
	x.result.add("flush-s", time.Since(start).Seconds())
	perThousand := func(n int) float64 { return float64(n) / float64(b.Packed) * 1000 }
	x.result.judge("puts/kmsg", perThousand(b.Requests["put"]), false)
	x.result.add("requests/kmsg", perThousand(b.all()))
	objects, octets, err := x.store.Stored(ctx)
	if err != nil {
		return err
	}
	if objects != b.Packs {
		x.result.Broken = append(x.result.Broken, fmt.Sprintf("%d packs are known and %d in the bucket", b.Packs, objects))
	}
	compressed := b.LiveBytes + b.DeadBytes - chunkOverhead*b.LiveBodies
	x.result.judge("bucket/compressed", float64(octets)/float64(compressed), false)
	x.result.add("bucket-B/msg", float64(octets)/float64(b.LiveBodies))
	x.result.note("%d bodies in %d packs of %.1f MiB on average", b.LiveBodies, objects, float64(octets)/float64(objects)/(1<<20))
	return nil
}

// cold fills a mailbox, packs it, and reads it in its order, twice.
func (x *objectStore) cold(ctx context.Context) error {
	c, err := x.mailbox(ctx, "cold", coldBodies)
	if err != nil {
		return err
	}
	defer c.Close()
	before, err := x.flush(ctx)
	if err != nil {
		return err
	}
	for _, prefix := range []string{"cold-", "warm-"} {
		start, bodies := time.Now(), 0
		_, err := c.Each(fmt.Sprintf("FETCH 1:%d (UID BODY.PEEK[])", coldBodies), func(_ string, literals [][]byte) { bodies += len(literals) })
		if err != nil {
			return err
		}
		if bodies != coldBodies {
			x.result.Broken = append(x.result.Broken, fmt.Sprintf("%sFETCH gave %d bodies of %d", prefix, bodies, coldBodies))
		}
		x.result.add(prefix+"fetch-ms", ms(time.Since(start)))
		after, err := x.stats(ctx)
		if err != nil {
			return err
		}
		gets := float64(after.Requests["get"] - before.Requests["get"])
		if prefix == "cold-" {
			x.result.judge(prefix+"gets", gets, false)
		} else {
			x.result.add(prefix+"gets", gets)
		}
		before = after
	}
	return nil
}

// mailbox makes a mailbox on the site with the store and selects it.
func (x *objectStore) mailbox(ctx context.Context, name string, size int) (*load.IMAP, error) {
	accounts, err := x.stored.Accounts(ctx, 1)
	if err != nil {
		return nil, err
	}
	c, err := load.DialIMAP(ctx, x.stored.IMAP()[0], accounts[0])
	if err != nil {
		return nil, err
	}
	o := x.options
	o.Run += name
	if err := fillMailbox(ctx, c, o, name, size); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// outage measures deliveries and reading while the store is away, and how long it takes until all is packed when
// it is back.
func (x *objectStore) outage(ctx context.Context, name string, take func() error, give func(context.Context) error, read func(c *load.IMAP, name string) error) error {
	c, err := x.mailbox(ctx, name, 50)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := x.flush(ctx); err != nil {
		return err
	}
	if err := take(); err != nil {
		return err
	}
	_, err = x.deliver(ctx, name+"-", 4)
	if err == nil {
		err = read(c, name)
	}
	if err = errors.Join(err, give(ctx)); err != nil {
		return err
	}
	start := time.Now()
	if _, err := x.flush(ctx); err != nil {
		return err
	}
	x.result.add(name+"-drain-s", time.Since(start).Seconds())
	return x.recovered(ctx, c, name, start)
}

// recoverPatience is how soon bodies have to be readable when the store is back: servers need not ask a store that
// failed for each message.
const recoverPatience = time.Minute

// recovered reads until the store's bodies are given again.
func (x *objectStore) recovered(ctx context.Context, c *load.IMAP, name string, back time.Time) error {
	for {
		_, err := c.Do("FETCH 1:50 (UID BODY.PEEK[])")
		if err == nil {
			x.result.add(name+"-recovery-s", time.Since(back).Seconds())
			return nil
		}
		if !strings.Contains(err.Error(), "UNAVAILABLE") {
			return err
		}
		if time.Since(back) > recoverPatience {
			x.result.Broken = append(x.result.Broken, fmt.Sprintf("bodies cannot be read when the store is back: %v", err))
			return nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// refused reads a body that only the store has, while it is away: the answer is to be NO, soon.
func (x *objectStore) refused(c *load.IMAP, name string) error {
	start := time.Now()
	_, err := c.Do("FETCH 1 (UID BODY.PEEK[])")
	x.result.add(name+"-refusal-ms", ms(time.Since(start)))
	switch {
	case err == nil:
		x.result.Broken = append(x.result.Broken, "a body was read that only the store has, while it was "+name)
	case !strings.Contains(err.Error(), "UNAVAILABLE"):
		return err
	}
	_, err = c.Do("FETCH 1:50 (UID FLAGS ENVELOPE)")
	return err
}

// slowBy is how late a slow store is.
const slowBy = 10 * time.Second

// slow makes the store answer late. What is read of it then is late or refused: neither is measured.
func (x *objectStore) slow(ctx context.Context) error {
	by := func(d time.Duration) error {
		x.store.Slow(d)
		return nil
	}
	return x.outage(ctx, "slow", func() error { return by(slowBy) }, func(context.Context) error { return by(0) },
		func(*load.IMAP, string) error { return nil })
}

// hanging freezes the store: it takes connections and answers nothing.
func (x *objectStore) hanging(ctx context.Context) error {
	return x.outage(ctx, "frozen", x.store.Pause, func(context.Context) error { return x.store.Resume() }, x.refused)
}

// away ends the store: nobody listens.
func (x *objectStore) away(ctx context.Context) error {
	take := func() error {
		x.store.Kill()
		return nil
	}
	return x.outage(ctx, "absent", take, x.store.Restart, x.refused)
}
