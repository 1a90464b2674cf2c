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

// sinkMix is how the foreign server treats mail: most is taken, some greylisted, some refused for ever, and some
// connections break after the final dot.
var sinkMix = load.Mix{Never: 3, Later: 5, Cut: 2}

// relaying is mail of users to a foreign domain under way.
type relaying struct {
	site       site.Outgoing
	sink       *load.Sink
	load       load.Delivery
	boxes      *boxes // of the senders, who learn of refusals
	all, first int    // recipients that are taken in the end, and at once
	start      time.Time
}

// runOutbound has users send mail to a sink with a given error mix, one recipient a message, until each message has
// arrived or has come back to its sender.
func runOutbound(ctx context.Context, s site.Site, o Options) (r Result, err error) {
	r = Result{Scenario: "outbound", Site: s.Name()}
	out, ok := s.(site.Outgoing)
	if !ok || out.Foreign() == "" {
		return r, fmt.Errorf("outbound: %w: %s cannot be told where mail for %s goes", site.ErrUnsupported, s.Name(), load.SinkDomain)
	}
	relay, err := prepareRelaying(ctx, out, o)
	if err != nil {
		return r, err
	}
	defer relay.close()
	meter, err := startMeter(ctx, s)
	if err != nil {
		return r, err
	}
	defer meter.stop()
	stop := follow(ctx, o, "outbound", relay.load.Messages, func() int64 { return int64(relay.sink.Tally(relay.load.Messages).Taken) })
	defer stop()
	relay.start = time.Now()
	accepted, err := relay.load.Run(ctx)
	if err != nil {
		return r, serverTrouble(ctx, s, err)
	}
	r.tell("accepted-msg/s", float64(accepted.Accepted)/accepted.Elapsed.Seconds())
	percentiles(&r, "", accepted.Latencies, false)
	if err := relay.settle(ctx, &r); err != nil {
		return r, err
	}
	return r, meter.finish(ctx, &r, accepted.Accepted, "msg")
}

func prepareRelaying(ctx context.Context, s site.Outgoing, o Options) (_ *relaying, err error) {
	accounts, err := s.Accounts(ctx, o.accounts(20))
	if err != nil {
		return nil, err
	}
	p := &relaying{site: s, load: load.Delivery{Doors: s.Submission(), Messages: o.messages(10_000), Connections: o.connections(20),
		Source: corpus.NewGenerator(o.Run, corpus.Fixed(4<<10)), Done: new(atomic.Int64),
		Login: func(n int) *load.Login { return &accounts[n%len(accounts)] }}}
	if len(p.load.Doors) == 0 {
		return nil, fmt.Errorf("outbound: %w: it has no door for users", site.ErrUnsupported)
	}
	for n := range p.load.Messages {
		p.load.Recipients = append(p.load.Recipients, load.SinkRecipient(n))
	}
	p.all, p.first = sinkMix.Expect(p.load.Messages)
	var senders []string
	for _, a := range accounts {
		senders = append(senders, a.Address)
	}
	if p.boxes, err = openBoxes(ctx, s, senders); err != nil {
		return nil, err
	}
	if err := p.boxes.rest(ctx); err != nil {
		p.boxes.close()
		return nil, err
	}
	if p.sink, err = load.StartSink(s.Foreign(), sinkMix); err != nil {
		p.boxes.close()
		return nil, err
	}
	return p, nil
}

func (p *relaying) close() {
	p.boxes.close()
	p.sink.Close()
}

// settle waits until every message has arrived or come back, and tells how it went.
func (p *relaying) settle(ctx context.Context, r *Result) error {
	if err := p.arrive(ctx, p.first); err != nil {
		return err
	}
	prompt := p.sink.Tally(p.load.Messages)
	r.judge("out-msg/s", float64(prompt.Taken)/prompt.Last.Sub(p.start).Seconds(), true)
	missing := p.arrive(ctx, p.all)
	if ctx.Err() != nil {
		return missing
	}
	refused := p.load.Messages - p.all
	silent := p.boxes.wait(ctx, refused)
	if ctx.Err() != nil {
		return silent
	}
	r.add("settled-s", time.Since(p.start).Seconds())
	t := p.sink.Tally(p.load.Messages)
	r.add("attempts/msg", float64(t.Attempts)/float64(p.load.Messages))
	r.add("lost", float64(p.all-t.Taken))
	r.add("doubled", float64(t.Doubled))
	for _, err := range []error{missing, silent} {
		if err != nil {
			r.Broken = append(r.Broken, err.Error())
		}
	}
	if t.Doubled > 0 {
		r.Broken = append(r.Broken, fmt.Sprintf("%d messages arrived twice", t.Doubled))
	}
	r.note("%d messages; the sink refused %d %% of the recipients for ever, %d %% at the first attempt, and broke off %d %% after the final dot", p.load.Messages, sinkMix.Never, sinkMix.Later, sinkMix.Cut)
	return nil
}

// errNotArrived is returned when mail stays out.
var errNotArrived = errors.New("accepted messages have not arrived")

// arrive waits until the sink has taken so many recipients' messages; it gives up when none came for arrivalTimeout.
func (p *relaying) arrive(ctx context.Context, want int) error {
	last, since := -1, time.Now()
	for {
		got := p.sink.Tally(p.load.Messages).Taken
		if got >= want {
			return nil
		}
		if got != last {
			last, since = got, time.Now()
		}
		if time.Since(since) > arrivalTimeout {
			return fmt.Errorf("%w: %d of %d, and no more for %v", errNotArrived, got, want, arrivalTimeout)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
