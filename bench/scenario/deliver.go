package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

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
	source      corpus.Source // nil: messages of sizes
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
		out = append(out, Scenario{Name: d.name, Brief: d.brief, Peers: true, Run: d.run, Pair: d.pair})
	}
	return out
}

// run delivers, waits until everything is visible, and tells what it took.
func (d delivery) run(ctx context.Context, s site.Site, o Options) (_ Result, err error) {
	in, err := d.prepare(ctx, s, o)
	if err != nil {
		return Result{Scenario: d.name, Site: s.Name()}, err
	}
	defer in.close()
	ref, err := d.startReference(s)
	if err != nil {
		return in.result, err
	}
	defer func() { err = errors.Join(err, ref.close()) }()
	if err := in.begin(ctx); err != nil {
		return in.result, err
	}
	stop := follow(ctx, o, d.name, in.load.Messages, in.load.Done.Load)
	err = ref.deliver(ctx, in)
	stop()
	if err != nil {
		return in.result, err
	}
	err = in.finish(ctx)
	ref.tell(&in.result)
	return in.result, err
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

// serverTrouble adds to an error of a load that the server has died, where it has.
func serverTrouble(ctx context.Context, s site.Site, err error) error {
	if _, gone := s.Usage(ctx); errors.Is(gone, load.ErrGone) {
		return errors.Join(err, gone)
	}
	return err
}
