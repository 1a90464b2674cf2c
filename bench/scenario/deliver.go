package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// delivery is a scenario of messages going in.
type delivery struct {
	name, brief string
	sizes       corpus.Sizes
	messages    int
	connections int
	perMessage  int
	reconnect   bool
	submission  bool
}

func deliveries() []Scenario {
	var out []Scenario
	for _, d := range []delivery{
		{name: "deliver-4k", brief: "4 KiB messages, 20 connections", sizes: corpus.Fixed(4 << 10), messages: 20_000, connections: 20},
		{name: "deliver-64k", brief: "64 KiB messages, 20 connections", sizes: corpus.Fixed(64 << 10), messages: 4_000, connections: 20},
		{name: "deliver-mix", brief: "a realistic mix of sizes, median 20 KiB, up to 10 MiB; or --corpus", sizes: corpus.Mix, messages: 4_000, connections: 20},
		{name: "reconnect", brief: "4 KiB messages, a new connection for each", sizes: corpus.Fixed(4 << 10), messages: 10_000, connections: 20, reconnect: true},
		{name: "fifty", brief: "4 KiB messages to fifty recipients each", sizes: corpus.Fixed(4 << 10), messages: 1_000, connections: 10, perMessage: 50},
		{name: "serial", brief: "4 KiB messages, one connection: latency", sizes: corpus.Fixed(4 << 10), messages: 2_000, connections: 1},
		{name: "submission", brief: "4 KiB messages from users, with TLS and login", sizes: corpus.Fixed(4 << 10), messages: 10_000, connections: 20, submission: true},
	} {
		out = append(out, Scenario{Name: d.name, Brief: d.brief, Peers: true, Run: d.run})
	}
	return out
}

// run delivers, waits until everything is visible, and tells what it took.
func (d delivery) run(ctx context.Context, s site.Site, o Options) (Result, error) {
	r := Result{Scenario: d.name, Site: s.Name()}
	src, err := o.source(d.sizes)
	if err != nil {
		return r, err
	}
	l, err := d.load(ctx, s, o, src)
	if err != nil {
		return r, err
	}
	// What is needed once only (connections of nodes among themselves, caches) is not measured.
	warm := l
	warm.Messages, warm.First = min(200, max(20, l.Messages/20)), l.Messages
	if _, err := warm.Run(ctx); err != nil {
		return r, fmt.Errorf("warm up: %w", err)
	}
	err = d.measure(ctx, s, o, l, warm.Messages, &r)
	return r, err
}

// load prepares accounts and doors.
func (d delivery) load(ctx context.Context, s site.Site, o Options, src corpus.Source) (load.Delivery, error) {
	accounts, err := s.Accounts(ctx, o.accounts(max(20, d.perMessage)))
	if err != nil {
		return load.Delivery{}, err
	}
	l := load.Delivery{Doors: s.MX(), PerMessage: d.perMessage, Source: src, Messages: o.messages(d.messages),
		Connections: o.connections(d.connections), Reconnect: d.reconnect, Done: new(atomic.Int64)}
	for _, a := range accounts {
		l.Recipients = append(l.Recipients, a.Address)
	}
	if d.submission {
		l.Doors = s.Submission()
		l.Login = func(n int) *load.Login { return &accounts[n%len(accounts)] }
	}
	if len(l.Doors) == 0 {
		return l, fmt.Errorf("%s: %w: it has no such door", d.name, site.ErrUnsupported)
	}
	return l, nil
}

func (d delivery) measure(ctx context.Context, s site.Site, o Options, l load.Delivery, warm int, r *Result) error {
	boxes, err := openBoxes(ctx, s, l.Recipients)
	if err != nil {
		return err
	}
	defer boxes.close()
	// The warm-up's own mail must have arrived before the base line is read.
	if err := boxes.rest(ctx); err != nil {
		return err
	}
	m, err := startMeter(ctx, s)
	if err != nil {
		return err
	}
	defer m.stop()
	l.Done.Store(0)
	start := time.Now()
	stop := follow(ctx, o, d.name, l.Messages, l.Done.Load)
	result, err := l.Run(ctx)
	stop()
	if err != nil {
		return serverTrouble(ctx, s, err)
	}
	if err := boxes.wait(ctx, result.Accepted*max(1, l.PerMessage)); err != nil {
		return err
	}
	visible := time.Since(start)
	r.judge("msg/s", float64(result.Accepted)/result.Elapsed.Seconds(), true)
	if boxes.open() {
		r.judge("visible-msg/s", float64(result.Accepted)/visible.Seconds(), true)
	} else {
		r.note("no IMAP address: nothing is known of visibility")
	}
	percentiles(r, "", result.Latencies)
	r.note("%d messages over %d connections after %d to warm up", result.Accepted, l.Connections, warm)
	return m.finish(ctx, r, result.Accepted, "msg")
}

// serverTrouble adds to an error of a load that the server has died, where it has.
func serverTrouble(ctx context.Context, s site.Site, err error) error {
	if _, gone := s.Usage(ctx); errors.Is(gone, load.ErrGone) {
		return errors.Join(err, gone)
	}
	return err
}
