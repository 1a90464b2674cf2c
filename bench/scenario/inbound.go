package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// inbound is a delivery to one site under way, in one turn or in several.
type inbound struct {
	delivery delivery
	site     site.Site
	load     load.Delivery
	boxes    *boxes
	meter    *meter // from begin to finish
	warm     int    // messages before begin
	result   Result

	accepted  int
	elapsed   time.Duration // until all were accepted, of all turns
	visible   time.Duration // until all were seen
	latencies []time.Duration
}

// prepare makes accounts and warms up: what is needed once only (connections of nodes among themselves,
// caches) is not measured.
func (d delivery) prepare(ctx context.Context, s site.Site, o Options) (_ *inbound, err error) {
	in := &inbound{delivery: d, site: s, result: Result{Scenario: d.name, Site: s.Name()}}
	src := d.source
	if src == nil {
		if src, err = o.source(d.sizes); err != nil {
			return nil, err
		}
	}
	if in.load, err = d.load(ctx, s, o, src); err != nil {
		return nil, err
	}
	warm := in.load
	warm.Messages, warm.First = warmUp(in.load.Messages), in.load.Messages
	if _, err := warm.Run(ctx); err != nil {
		return nil, fmt.Errorf("warm up: %w", serverTrouble(ctx, s, err))
	}
	in.warm = warm.Messages
	in.boxes, err = openBoxes(ctx, s, in.load.Recipients)
	return in, err
}

// warmUp is how many messages go before so many that are measured.
func warmUp(messages int) int { return min(200, max(20, messages/20)) }

func (in *inbound) close() {
	if in.meter != nil {
		in.meter.stop()
	}
	in.boxes.close()
}

// begin reads the base line, once the warm-up's own mail has arrived.
func (in *inbound) begin(ctx context.Context) (err error) {
	if err := in.boxes.rest(ctx); err != nil {
		return err
	}
	in.load.Done.Store(0)
	in.meter, err = startMeter(ctx, in.site)
	return err
}

// deliver sends n messages from the given number on and waits until they are visible.
func (in *inbound) deliver(ctx context.Context, first, n int) error {
	turn := in.load
	turn.First, turn.Messages = first, n
	start := time.Now()
	r, err := turn.Run(ctx)
	if err != nil {
		return serverTrouble(ctx, in.site, err)
	}
	in.accepted, in.elapsed, in.latencies = in.accepted+r.Accepted, in.elapsed+r.Elapsed, append(in.latencies, r.Latencies...)
	if err := in.boxes.wait(ctx, in.accepted*max(1, turn.PerMessage)); err != nil {
		return err
	}
	in.visible += time.Since(start)
	return nil
}

// finish adds the figures. Judged are the rate (of one connection, the latency), CPU and fsyncs: when messages
// become visible depends on when one looks.
func (in *inbound) finish(ctx context.Context) error {
	r := &in.result
	rate := float64(in.accepted) / in.elapsed.Seconds()
	if in.load.Connections == 1 {
		r.tell("msg/s", rate)
	} else {
		r.judge("msg/s", rate, true)
	}
	if in.boxes.open() {
		r.tell("visible-msg/s", float64(in.accepted)/in.visible.Seconds())
	} else {
		r.note("no IMAP address: nothing is known of visibility")
	}
	percentiles(r, "", in.latencies, in.load.Connections == 1)
	r.note("%d messages over %d connections after %d to warm up", in.accepted, in.load.Connections, in.warm)
	return in.meter.finish(ctx, r, in.accepted, "msg")
}
