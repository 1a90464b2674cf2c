package runner

import (
	"time"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/mta/queue"
)

// walk is how far a Runner has come in the agenda. Destinations whose receiver is full or left alone stay due: a round goes
// on where the one before ended, so that however many of them there are others have their turn. It is of the goroutine of Run.
type walk struct {
	after   queue.Due
	soonest time.Time // when to look again, of what was passed over since the beginning; zero: nothing was
}

// later notes when to look at something again.
func (w *walk) later(at time.Time) {
	if w.soonest.IsZero() || at.Before(w.soonest) {
		w.soonest = at
	}
}

// step goes on behind the destinations that a round looked at. It says when the next round is: at once where there are more,
// else when something that was passed over may have its turn, at the latest at next.
func (w *walk) step(list []queue.Due, more bool, now, next time.Time) time.Time {
	if more {
		w.after = list[len(list)-1]
		return now
	}
	if !w.soonest.IsZero() && w.soonest.Before(next) {
		next = w.soonest
	}
	*w = walk{}
	return next
}

// due makes jobs of what is due, one for each lane that is free, and says when the next round is, at the latest at next.
func (r *Runner) due(s kv.Reader, now, next time.Time) ([]*job, time.Time, error) {
	list, at, err := queue.Agenda(s, r.walk.after, now.UnixMilli(), destinationsAtOnce)
	if err != nil {
		return nil, next, err
	}
	more := at != 0 && at <= now.UnixMilli()
	if !more {
		next = earlier(next, at)
	}
	if len(list) == 0 {
		return nil, r.walk.step(list, false, now, next), nil
	}
	waiters, err := queue.NewWaiters(s)
	if err != nil {
		return nil, next, err
	}
	defer waiters.Close()
	var work []*job
	for _, d := range list {
		free, again := r.c.Lanes.Free(d.Destination)
		if free == 0 { // a job that ends wakes us too
			r.walk.later(again)
			continue
		}
		some, err := r.jobsFor(s, waiters, d.Destination, now)
		work = append(work, some...)
		if err != nil {
			return work, next, err
		}
	}
	return work, r.walk.step(list, more, now, next), nil
}
