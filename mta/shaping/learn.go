package shaping

import (
	"math"
	"time"

	"github.com/rookery-mail/rookery/mta/receiver"
)

// Outcome is what came of an attempt, as far as it tells something of the receiver.
type Outcome struct {
	Delivered, Deferred, Failed int  // recipients
	Asked                       bool // a host was connected to, or it was tried
	Reached                     bool // it spoke
	Means                       receiver.Meaning
	Text                        string // of what went wrong
	Unmade                      bool   // no attempt was made
}

// Counts are of recipients since the node began.
type Counts struct {
	Delivered, Deferred, Failed uint64
	Attempts                    uint64 // of which each has one recipient or more
}

// The figures of what is learned.
const (
	slowest    = 6.0    // messages a minute
	fastest    = 6000.0 // above it there is no bound
	perMessage = 0.2    // by which the pace grows: a fifth more each minute
	firstPause = 10 * time.Second
	mostPause  = 10 * time.Minute
	answers    = 30 * time.Second // since a host was last there, for which a site is
)

// learn opens a site as it takes mail, and closes it as it complains or is not there.
func (x *site) learn(o Outcome, now time.Time) {
	if o.Unmade {
		x.bucket.give()
		return
	}
	x.counts.Attempts++
	x.counts.Delivered += uint64(o.Delivered)
	x.counts.Deferred += uint64(o.Deferred)
	x.counts.Failed += uint64(o.Failed)
	away := o.Asked && !o.Reached && o.Means == receiver.Nothing
	bad := o.Means == receiver.Slower || away
	if o.Reached {
		x.reached = now
	}
	switch {
	case away && now.Sub(x.reached) < answers:
		x.last = o.Text // one host of it is away, as of a customer; the domain is left alone elsewhere
	case bad && now.Before(x.closed):
		x.last = o.Text // what was on its way as the site was closed says nothing new
	case bad:
		x.shut(o, now)
	default:
		if o.Reached {
			x.inRow = 0
		}
		if o.Delivered > 0 {
			x.open(now)
		}
	}
}

// shut halves what a site is given, and leaves it alone for a while.
func (x *site) shut(o Outcome, now time.Time) {
	x.last = o.Text
	if o.Means == receiver.Slower {
		x.most = math.Max(1, math.Floor(x.most/2))
		pace := x.recent.count(now)
		if x.pace > 0 {
			pace = math.Min(pace, x.pace)
		}
		x.pace = math.Max(slowest, pace/2)
		x.bucket = bucket{}
	} else {
		x.most = 1
	}
	x.closed = now.Add(min(firstPause<<min(x.inRow, 10), mostPause))
	x.inRow++
}

// open gives a site one attempt more for each round of those that it took.
func (x *site) open(now time.Time) {
	x.recent.add(now)
	x.closed = time.Time{}
	x.most = math.Min(x.most+1/math.Max(x.most, 1), float64(x.limits.Connections))
	if x.pace > 0 {
		if x.pace += perMessage; x.pace > fastest {
			x.pace = 0
		}
	}
}

// bucket holds messages that may be sent: those of two seconds, one at least.
type bucket struct {
	tokens float64
	at     time.Time
}

func (b *bucket) fill(rate float64, now time.Time) {
	most := math.Max(1, rate/30)
	if b.at.IsZero() {
		b.tokens = most
	} else if past := now.Sub(b.at).Minutes(); past > 0 {
		b.tokens = math.Min(most, b.tokens+past*rate)
	}
	b.at = now
}

// look is how many may be sent now, and when the next one may.
func (b *bucket) look(rate float64, now time.Time) (int, time.Time) {
	b.fill(rate, now)
	if b.tokens >= 1 {
		return int(b.tokens), now
	}
	return 0, now.Add(time.Duration((1-b.tokens)/rate*float64(time.Minute)) + time.Millisecond)
}

func (b *bucket) take(rate float64, now time.Time) {
	b.fill(rate, now)
	b.tokens--
}

// give takes back what was not sent.
func (b *bucket) give() { b.tokens++ }

// window counts what happened in about the last minute.
type window struct {
	minute    int64
	now, last float64
}

func (w *window) turn(now time.Time) {
	switch m := now.Unix() / 60; {
	case m == w.minute:
	case m == w.minute+1:
		w.minute, w.last, w.now = m, w.now, 0
	default:
		w.minute, w.last, w.now = m, 0, 0
	}
}

func (w *window) add(now time.Time) {
	w.turn(now)
	w.now++
}

func (w *window) count(now time.Time) float64 {
	w.turn(now)
	return math.Max(w.now, w.last)
}
