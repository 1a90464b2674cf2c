package queue

import (
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// edit does what an operator says to entries. Entries that are gone are passed over; a recipient whose
// attempt is under way is left to it.
func (q *machine) edit(cmd *queuepb.EditCommand) (*queuepb.Result, error) {
	if len(cmd.Entries) > MaxPlaces || len(cmd.Why) > maxText {
		return refuse(indexpb.Code_CODE_INVALID, "%d entries, %d octets", len(cmd.Entries), len(cmd.Why)), nil
	}
	var change func(EntryID, *queuepb.EntryRecord) (bool, error)
	switch cmd.Edit {
	case queuepb.Edit_EDIT_HOLD:
		change = func(id EntryID, e *queuepb.EntryRecord) (bool, error) { return q.hold(id, e, cmd.Why) }
	case queuepb.Edit_EDIT_RELEASE:
		change = q.release
	case queuepb.Edit_EDIT_RETRY:
		change = q.retry
	case queuepb.Edit_EDIT_DELETE:
		change = q.remove
	case queuepb.Edit_EDIT_BOUNCE:
		change = func(id EntryID, e *queuepb.EntryRecord) (bool, error) { return q.bounce(id, e, cmd.Why) }
	default:
		return refuse(indexpb.Code_CODE_INVALID, "no such edit"), nil
	}
	list := slices.Clone(cmd.Entries)
	slices.Sort(list)
	res := done()
	for _, id := range slices.Compact(list) {
		e, err := readEntry(q.b, EntryID(id))
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		changed, err := change(EntryID(id), e)
		if err != nil {
			return nil, err
		}
		if changed {
			res.Changed++
			if err := q.tellEdit(EntryID(id), e, cmd); err != nil {
				return nil, err
			}
		}
	}
	return res, nil
}

func (q *machine) hold(id EntryID, e *queuepb.EntryRecord, why string) (bool, error) {
	if e.Held {
		return false, nil
	}
	err := eachWaiting(q.b, id, func(p Place, r *queuepb.RecipientRecord) error { return q.unlist(p, r) })
	if err != nil {
		return false, err
	}
	if err := q.clearAlarm(id, e); err != nil {
		return false, err
	}
	e.Held, e.HeldWhy, e.HeldAt = true, why, q.now
	return true, q.putEntry(id, e)
}

func (q *machine) release(id EntryID, e *queuepb.EntryRecord) (bool, error) {
	if !e.Held || e.BouncedWhy != "" {
		return false, nil
	}
	err := eachWaiting(q.b, id, func(p Place, r *queuepb.RecipientRecord) error {
		r.Due = max(r.Due, q.now)
		return q.wait(p, r, false)
	})
	if err != nil {
		return false, err
	}
	e.HeldWithAccount, e.Braked = false, false // who releases it answers for it
	q.resume(e)
	if err := q.setAlarm(id, e); err != nil {
		return false, err
	}
	return true, q.putEntry(id, e)
}

// resume has an entry's time go on. What it was held for does not count, but for a sender who set an end himself.
func (q *machine) resume(e *queuepb.EntryRecord) {
	held := max(0, q.now-e.HeldAt)
	e.Expires += held
	if e.Notice != 0 {
		e.Notice += held
	}
	if e.DeliverBy != 0 && strings.HasPrefix(e.DeliverByMode, string(mta.ByReturn)) {
		e.Expires = min(e.Expires, e.DeliverBy)
	}
	e.Held, e.HeldWhy, e.HeldAt = false, "", 0
}

func (q *machine) retry(id EntryID, e *queuepb.EntryRecord) (bool, error) {
	if e.Held {
		return false, nil
	}
	changed := false
	err := eachWaiting(q.b, id, func(p Place, r *queuepb.RecipientRecord) error {
		changed = true
		if err := q.unlist(p, r); err != nil {
			return err
		}
		d, err := q.at(r.Destination)
		if err != nil {
			return err
		}
		d.rec.ClosedUntil = 0
		r.Due = q.now
		return q.wait(p, r, false)
	})
	return changed, err
}

func (q *machine) remove(id EntryID, e *queuepb.EntryRecord) (bool, error) {
	changed := false
	err := eachWaiting(q.b, id, func(p Place, r *queuepb.RecipientRecord) error {
		changed = true
		if !e.Held {
			if err := q.unlist(p, r); err != nil {
				return err
			}
		}
		return q.endRecipient(p, id, e)
	})
	return changed, err
}

// bounce has an entry given up: it is held from now on and its alarm is due, so that nothing of it is tried, and the
// worker that hears the alarm ends what waits and reports it in one step.
func (q *machine) bounce(id EntryID, e *queuepb.EntryRecord, why string) (bool, error) {
	if e.BouncedWhy != "" {
		return false, nil
	}
	if why == "" {
		why = "an administrator returned it"
	}
	if _, err := q.hold(id, e, why); err != nil {
		return false, err
	}
	e.BouncedWhy, e.Expires, e.Notice = why, min(e.Expires, q.now), 0
	if err := q.setAlarm(id, e); err != nil {
		return false, err
	}
	return true, q.putEntry(id, e)
}

// eachWaiting calls fn for each recipient of an entry that waits.
func eachWaiting(b kv.Reader, id EntryID, fn func(Place, *queuepb.RecipientRecord) error) error {
	all, err := recipients(b, id)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Record.State != queuepb.RecipientState_RECIPIENT_STATE_WAITING {
			continue
		}
		if err := fn(r.Place, r.Record); err != nil {
			return err
		}
	}
	return nil
}

// Recipient is a recipient that is open.
type Recipient struct {
	Place  Place
	Record *queuepb.RecipientRecord
}

// recipients returns the open recipients of an entry.
func recipients(r kv.Reader, id EntryID) (list []Recipient, err error) {
	lower := recipientKey(nil, Place{Entry: id})
	it, err := r.Scan(lower, keys.After(nil, lower[:9]))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		p, err := readPlace(it.Key())
		if err != nil {
			return nil, err
		}
		value, err := it.Value()
		if err != nil {
			return nil, err
		}
		rec := new(queuepb.RecipientRecord)
		if err := rec.UnmarshalVT(value); err != nil {
			return nil, err
		}
		list = append(list, Recipient{p, rec})
	}
	return list, it.Error()
}
