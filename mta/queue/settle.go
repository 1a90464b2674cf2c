package queue

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// led notes the term of a leader that speaks, and reports whether it is not behind one that did before.
func (q *machine) led(term uint64) (bool, error) {
	seen, err := q.counter(controlTerm)
	switch {
	case err != nil || term < seen:
		return false, err
	case term == seen:
		return true, nil
	}
	return true, q.setCounter(controlTerm, term)
}

func behind() *queuepb.Result {
	return refuse(indexpb.Code_CODE_STALE, "a leader of a later term has spoken")
}

// claim takes recipients for attempts. Those that do not wait any more are passed over.
func (q *machine) claim(cmd *queuepb.ClaimCommand) (*queuepb.Result, error) {
	if len(cmd.Places) > MaxPlaces {
		return refuse(indexpb.Code_CODE_INVALID, "%d places", len(cmd.Places)), nil
	}
	if ok, err := q.led(cmd.Term); err != nil || !ok {
		return behind(), err
	}
	res := done()
	for _, p := range places(cmd.Places) {
		r, err := readRecipient(q.b, p)
		if err != nil {
			return nil, err
		}
		if r == nil || r.State != queuepb.RecipientState_RECIPIENT_STATE_WAITING {
			continue
		}
		e, err := mustEntry(q.b, p.Entry)
		if err != nil {
			return nil, err
		}
		if e.BouncedWhy == "" && q.now < e.Expires { // else it is to be given up, held or not
			if held, err := q.heldWith(p.Entry, e); err != nil {
				return nil, err
			} else if held || e.Held {
				continue
			}
		}
		if !e.Held {
			if err := q.unlist(p, r); err != nil {
				return nil, err
			}
		}
		r.State, r.Term = queuepb.RecipientState_RECIPIENT_STATE_CLAIMED, cmd.Term
		if err := q.b.Set(claimedKey(nil, p), nil); err != nil {
			return nil, err
		}
		if err := q.put(recipientKey(nil, p), r); err != nil {
			return nil, err
		}
		res.Places = append(res.Places, &queuepb.Place{Entry: uint64(p.Entry), Recipient: p.Recipient})
	}
	return res, nil
}

// retake gives back what leaders of earlier terms had claimed: what became of their attempts is not known.
func (q *machine) retake(cmd *queuepb.RetakeCommand) (*queuepb.Result, error) {
	if ok, err := q.led(cmd.Term); err != nil || !ok {
		return behind(), err
	}
	old, err := claims(q.b, MaxPlaces, func(p Place, r *queuepb.RecipientRecord) bool { return r.Term < cmd.Term })
	if err != nil {
		return nil, err
	}
	res := done()
	res.More = len(old) == MaxPlaces
	for _, p := range old {
		r, err := readRecipient(q.b, p)
		if err != nil {
			return nil, err
		}
		e, err := mustEntry(q.b, p.Entry)
		if err != nil {
			return nil, err
		}
		if err := q.b.Delete(claimedKey(nil, p)); err != nil {
			return nil, err
		}
		if err := q.wait(p, r, e.Held); err != nil {
			return nil, err
		}
		res.Changed++
	}
	return res, nil
}

// claims returns up to n claimed recipients that match.
func claims(r kv.Reader, n int, match func(Place, *queuepb.RecipientRecord) bool) (found []Place, err error) {
	prefix := []byte{tableClaimed}
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok && len(found) < n; ok = it.Next() {
		p, err := readPlace(it.Key())
		if err != nil {
			return nil, err
		}
		rec, err := readRecipient(r, p)
		if err != nil {
			return nil, err
		}
		if rec == nil {
			return nil, fmt.Errorf("recipient %d of entry %d is claimed and missing: %w", p.Recipient, p.Entry, ErrCorrupt)
		}
		if match(p, rec) {
			found = append(found, p)
		}
	}
	return found, it.Error()
}

// settle takes the word of the leader that claimed. Reports go in the same step, so that a recipient is given up and
// reported, or neither. One whose outcomes were all taken before is a repetition, of a command whose answer got lost, and is dropped.
func (q *machine) settle(cmd *queuepb.SettleCommand) (*queuepb.Result, error) {
	if len(cmd.Outcomes) > MaxPlaces || len(cmd.Closures) > MaxPlaces || len(cmd.Reports) > MaxPlaces {
		return refuse(indexpb.Code_CODE_INVALID, "more than %d of a kind", MaxPlaces), nil
	}
	for _, r := range cmd.Reports {
		if r.GetSubmit() == nil {
			continue
		}
		if err := check(r.Submit); err != nil {
			return refuse(indexpb.Code_CODE_INVALID, "a report: %v", err), nil
		}
	}
	if ok, err := q.led(cmd.Term); err != nil || !ok {
		return behind(), err
	}
	about, err := q.open(cmd.Reports)
	if err != nil {
		return nil, err
	}
	res := done()
	settled := map[uint64]bool{}
	for _, o := range cmd.Outcomes {
		taken, err := q.outcome(cmd.Term, o)
		if err != nil {
			return nil, err
		}
		if taken {
			res.Changed++
			settled[o.Place.Entry] = true
		}
	}
	for _, c := range cmd.Closures {
		if err := q.close(c); err != nil {
			return nil, err
		}
	}
	for i, r := range cmd.Reports {
		if about[i] != nil && (r.Delay || settled[r.Entry]) {
			if err := q.report(r, about[i]); err != nil {
				return nil, err
			}
		}
	}
	return res, nil
}

// open gives the entries that reports are about, nil where that is gone: of those somebody else has told.
func (q *machine) open(reports []*queuepb.Report) ([]*queuepb.EntryRecord, error) {
	out := make([]*queuepb.EntryRecord, len(reports))
	for i, r := range reports {
		e, err := readEntry(q.b, EntryID(r.GetEntry()))
		if err != nil {
			return nil, err
		}
		if e != nil && (!r.Delay || e.Notice != 0) {
			out[i] = e
		}
	}
	return out, nil
}

// outcome settles one recipient, if it is the term's.
func (q *machine) outcome(term uint64, o *queuepb.Outcome) (bool, error) {
	p := Place{EntryID(o.GetPlace().GetEntry()), o.GetPlace().GetRecipient()}
	r, err := readRecipient(q.b, p)
	if err != nil || r == nil || r.State != queuepb.RecipientState_RECIPIENT_STATE_CLAIMED || r.Term != term {
		return false, err
	}
	e, err := mustEntry(q.b, p.Entry)
	if err != nil {
		return false, err
	}
	if err := q.b.Delete(claimedKey(nil, p)); err != nil {
		return false, err
	}
	if err := q.tellOutcome(p.Entry, e, r, o); err != nil {
		return false, err
	}
	if o.Kind == queuepb.OutcomeKind_OUTCOME_KIND_FAILED {
		if err := q.rejected(e, o); err != nil {
			return false, err
		}
	}
	if o.Kind == queuepb.OutcomeKind_OUTCOME_KIND_DELIVERED || o.Kind == queuepb.OutcomeKind_OUTCOME_KIND_FAILED {
		return true, q.endRecipient(p, p.Entry, e)
	}
	if o.Attempt != nil {
		r.Last = kept(o.Attempt)
		if !o.Uncounted {
			r.Attempts++
		}
	}
	r.Due = max(o.Due, q.now)
	return true, q.wait(p, r, e.Held)
}

// kept bounds what is kept of an attempt.
func kept(a *queuepb.Attempt) *queuepb.Attempt {
	if a == nil {
		return nil
	}
	for _, s := range []*string{&a.Node, &a.Host, &a.Address, &a.Tls, &a.Enhanced, &a.Text} {
		if len(*s) > maxText {
			*s = (*s)[:maxText]
		}
	}
	return a
}

// report sends a report, and notes that a delay was told.
func (q *machine) report(r *queuepb.Report, about *queuepb.EntryRecord) error {
	if r.Delay {
		id := EntryID(r.Entry)
		e, err := readEntry(q.b, id)
		if err != nil || e == nil {
			return err
		}
		if err := q.clearAlarm(id, e); err != nil {
			return err
		}
		e.Notice = 0
		if err := q.setAlarm(id, e); err != nil {
			return err
		}
		if err := q.putEntry(id, e); err != nil {
			return err
		}
	}
	if r.Submit == nil {
		return nil
	}
	if err := q.tellReport(EntryID(r.Entry), about, r); err != nil {
		return err
	}
	_, err := q.submit(r.Submit)
	return err
}

// AnyClaimed reports whether any recipient is claimed.
func AnyClaimed(r kv.Reader) (bool, error) {
	some, err := claims(r, 1, func(Place, *queuepb.RecipientRecord) bool { return true })
	return len(some) > 0, err
}
