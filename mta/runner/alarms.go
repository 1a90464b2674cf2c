package runner

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dsn"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// How many alarms are dealt with together, how many at a time, and when one is looked at again that could not be.
const (
	alarmsAtOnce   = 500
	alarmsTogether = 8
	alarmsLater    = time.Minute
)

// alarms are senders to be told that a message is late, and entries to be given up. They are dealt with beside the attempts:
// a hundred thousand messages for a host that is dead expire together, and hold nobody up. It is of the goroutine of Run.
type alarms struct {
	late map[queue.EntryID]time.Time // when those are looked at again that could not be dealt with
	busy bool
	done chan []queue.EntryID // of capacity one: gets those that could not
}

func newAlarms() alarms {
	return alarms{late: map[queue.EntryID]time.Time{}, done: make(chan []queue.EntryID, 1)}
}

// end notes that a round of them is over.
func (a *alarms) end(late []queue.EntryID, now time.Time) {
	a.busy = false
	for id, again := range a.late {
		if !now.Before(again) {
			delete(a.late, id)
		}
	}
	for _, id := range late {
		a.late[id] = now.Add(alarmsLater)
	}
}

// look finds the alarms that are due and when to look again.
func (a *alarms) look(s kv.Reader, now, next time.Time) ([]queue.EntryID, time.Time, error) {
	all, at, err := queue.Alarms(s, now.UnixMilli(), now.Add(look).UnixMilli(), alarmsAtOnce+len(a.late))
	next = earlier(next, at)
	var list []queue.EntryID
	for _, id := range all {
		again, late := a.late[id]
		if late && now.Before(again) {
			if again.Before(next) {
				next = again
			}
			continue
		}
		list = append(list, id)
	}
	return list, next, err
}

// sound deals with alarms, as a job.
func (r *Runner) sound(ctx context.Context, list []queue.EntryID, now time.Time) {
	if len(list) == 0 || r.alarms.busy {
		return
	}
	r.alarms.busy = true
	r.jobs.Go(func() error {
		var mu sync.Mutex // guards late
		var late []queue.EntryID
		var g errgroup.Group
		g.SetLimit(alarmsTogether)
		for _, id := range list {
			g.Go(func() error {
				done, err := r.alarm(ctx, id, now)
				if err != nil && ctx.Err() == nil {
					r.c.Logger.Warn("a report could not be made yet", "group", r.c.Group.String(), "entry", uint64(id), "error", err)
				}
				if err != nil || !done {
					mu.Lock()
					defer mu.Unlock()
					late = append(late, id)
				}
				return nil
			})
		}
		_ = g.Wait() // its tasks return no errors
		r.alarms.done <- late
		return nil
	})
}

// alarm tells the sender of an entry that it is late, or gives it up; done says that nothing of the alarm is left.
func (r *Runner) alarm(ctx context.Context, id queue.EntryID, now time.Time) (done bool, err error) {
	var e *queuepb.EntryRecord
	var list []queue.Recipient
	err = r.read(func(s kv.Reader) (err error) {
		e, list, _, err = queue.Entry(s, id)
		return err
	})
	switch {
	case err != nil || e == nil:
		return true, err
	case now.UnixMilli() < e.Expires:
		return true, r.tellDelay(ctx, id, e, list)
	}
	return r.giveUp(ctx, id, e, list, now)
}

func (r *Runner) tellDelay(ctx context.Context, id queue.EntryID, e *queuepb.EntryRecord, list []queue.Recipient) error {
	by := queue.EnvelopeOf(e).By
	var told []dsn.Recipient
	for _, to := range list {
		if !mta.Notify(to.Record.Notify).Wants(mta.NotifyDelay) {
			continue
		}
		t := about(to.Record, to.Record.Last, dsn.Delayed)
		t.Until = time.UnixMilli(e.Expires).UTC()
		if by.Mode == mta.ByNotify {
			t.Status = lateDelayed
		}
		told = append(told, t)
	}
	return r.report(ctx, id, e, &queuepb.SettleCommand{Term: r.term}, told, true)
}

// The codes of a message that was not delivered in time (RFC 3463, section 3.5; RFC 2852, section 4).
const (
	lateDelayed  mta.Enhanced = "4.4.7"
	lateReturned mta.Enhanced = "5.4.7"
)

// lastWord is why a recipient is given up that no attempt ended.
func (r *Runner) lastWord(e *queuepb.EntryRecord, to *queuepb.RecipientRecord, now time.Time) *queuepb.Attempt {
	a := &queuepb.Attempt{At: now.UnixMilli(), Node: string(r.c.Node)}
	switch {
	case e.BouncedWhy != "":
		a.Enhanced, a.Text = "5.0.0", e.BouncedWhy
	case queue.EnvelopeOf(e).By.Mode == mta.ByReturn && now.UnixMilli() >= e.DeliverBy:
		a.Enhanced, a.Text = string(lateReturned), "It could not be delivered by the time that was asked for"
		if to.Last != nil {
			a.Text += "; the last attempt ended with: " + to.Last.Text
		}
	case to.Last != nil:
		return to.Last
	default:
		a.Enhanced, a.Text = string(lateDelayed), "It could not be tried before its time was over"
	}
	return a
}

// giveUp ends the recipients of an entry whose time is over. Those with an attempt under way end with it: they are left, and
// looked at again.
func (r *Runner) giveUp(ctx context.Context, id queue.EntryID, e *queuepb.EntryRecord, list []queue.Recipient, now time.Time) (done bool, err error) {
	claim := &queuepb.ClaimCommand{Term: r.term}
	for _, to := range list {
		if to.Record.State == queuepb.RecipientState_RECIPIENT_STATE_WAITING {
			claim.Places = append(claim.Places, place(to.Place))
		}
	}
	if len(claim.Places) == 0 {
		return false, nil
	}
	res, err := r.propose(ctx, command.ClaimRecipients, claim)
	if err != nil {
		return false, fmt.Errorf("claim what is to be given up: %w", err)
	}
	granted := map[uint32]bool{}
	for _, p := range res.Places {
		granted[p.Recipient] = true
	}
	cmd := &queuepb.SettleCommand{Term: r.term}
	var told []dsn.Recipient
	for _, to := range list {
		if !granted[to.Place.Recipient] {
			continue
		}
		a := r.lastWord(e, to.Record, now)
		o := &queuepb.Outcome{Place: place(to.Place), Kind: queuepb.OutcomeKind_OUTCOME_KIND_FAILED, Attempt: a}
		cmd.Outcomes = append(cmd.Outcomes, o)
		if mta.Notify(to.Record.Notify).Wants(mta.NotifyFailure) {
			told = append(told, about(to.Record, a, dsn.Failed))
		}
	}
	if len(cmd.Outcomes) == 0 {
		return false, nil
	}
	r.insist(ctx, func() error { return r.report(ctx, id, e, cmd, told, false) })
	return len(cmd.Outcomes) == len(list), ctx.Err()
}
