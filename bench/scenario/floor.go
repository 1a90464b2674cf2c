package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
	"github.com/rookery-mail/rookery/bench/stats"
)

// Floor is a bare replicated store of the same number of replicas as the site has (site.Floor).
type Floor interface {
	// Commit commits messages of size octets, so many at once as concurrency says.
	Commit(ctx context.Context, messages, size, concurrency int) error
	Usage(ctx context.Context) (site.Usage, error)
	Close() error
}

// A run of the floor is slices of both loads in turn, so that whatever else the machine does meets both.
// The floor commits more entries than mail is delivered: its CPU times are short against the clock's tick.
const (
	floorSlices = 10
	floorFactor = 4
	floorSize   = 4 << 10
)

// runFloor holds the CPU that a delivered message takes against that of a bare commit of as many octets.
func runFloor(ctx context.Context, s site.Site, o Options) (r Result, err error) {
	r = Result{Scenario: "floor", Site: s.Name()}
	if u, err := s.Usage(ctx); err != nil || !u.Measured || o.Floor == nil {
		return r, errors.Join(err, fmt.Errorf("floor: %w: its CPU cannot be read", site.ErrUnsupported))
	}
	d := delivery{name: "floor", messages: 20_000, connections: 20}
	l, err := d.load(ctx, s, o, corpus.NewGenerator(o.Run, corpus.Fixed(floorSize)))
	if err != nil {
		return r, err
	}
	replicas := min(3, max(1, len(s.MX())))
	bare, err := o.Floor(ctx, replicas)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, bare.Close()) }()
	boxes, err := openBoxes(ctx, s, l.Recipients)
	if err != nil {
		return r, err
	}
	defer boxes.close()
	p := &floorPair{site: s, bare: bare, boxes: boxes, load: l}
	p.load.Messages = max(1, l.Messages/floorSlices)
	if _, err := p.slice(ctx); err != nil { // to warm up
		return r, serverTrouble(ctx, s, err)
	}
	p.mail, p.commit = 0, 0
	var ratios []float64
	for i := range floorSlices {
		o.Progress("floor: slice %d of %d", i+1, floorSlices)
		ratio, err := p.slice(ctx)
		if err != nil {
			return r, serverTrouble(ctx, s, err)
		}
		ratios = append(ratios, ratio)
	}
	n := float64(floorSlices * p.load.Messages)
	r.judge("x-floor", (p.mail.Seconds()/n)/(p.commit.Seconds()/n/floorFactor), false)
	slices.Sort(ratios)
	r.add("x-floor-median", stats.Percentile(ratios, 0.5))
	r.add("cpu-s/kmsg", p.mail.Seconds()/n*1000)
	r.add("floor-cpu-s/kmsg", p.commit.Seconds()/n/floorFactor*1000)
	r.note("%d slices in turn of %d messages of %d octets and of %d bare commits of the same octets; %d at once each; %d bare replicas in one group",
		floorSlices, p.load.Messages, floorSize, p.load.Messages*floorFactor, l.Connections, replicas)
	return r, nil
}

// floorPair takes slices of both loads and adds up what they cost.
type floorPair struct {
	site         site.Site
	bare         Floor
	boxes        *boxes
	load         load.Delivery
	mail, commit time.Duration // CPU so far
}

// slice is one slice of each; it gives the ratio of their CPU per message.
func (p *floorPair) slice(ctx context.Context) (float64, error) {
	if err := p.boxes.rest(ctx); err != nil {
		return 0, err
	}
	mail, err := cpuOf(ctx, p.site, func() error {
		result, err := p.load.Run(ctx)
		if err != nil {
			return err
		}
		return p.boxes.wait(ctx, result.Accepted)
	})
	if err != nil {
		return 0, err
	}
	p.load.First += p.load.Messages
	commit, err := cpuOf(ctx, p.bare, func() error {
		return p.bare.Commit(ctx, p.load.Messages*floorFactor, floorSize, p.load.Connections)
	})
	if err != nil {
		return 0, err
	}
	p.mail, p.commit = p.mail+mail, p.commit+commit
	return mail.Seconds() / (commit.Seconds() / floorFactor), nil
}

// cpuOf is the CPU that a system uses while f runs.
func cpuOf(ctx context.Context, s interface {
	Usage(ctx context.Context) (site.Usage, error)
}, f func() error) (time.Duration, error) {
	before, err := s.Usage(ctx)
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := s.Usage(ctx)
	return after.CPU - before.CPU, err
}
