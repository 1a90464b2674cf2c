package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// DrainKept files messages of deleted mailboxes where kept mail is, a bounded number each time. The
// result says whether more are left.
func (x *Execution) DrainKept(cmd *indexpb.DrainGraveyardCommand) (*indexpb.Result, error) {
	limit := step(cmd.Limit)
	m, limits, err := x.firstKept()
	if err != nil || m == nil {
		return &indexpb.Result{}, err
	}
	uids, err := x.waiting(m, limit)
	if err != nil {
		return nil, err
	}
	for _, u := range uids {
		if err := x.keepBuried(m, u, limits); err != nil {
			return nil, fmt.Errorf("keep message %d of mailbox %d of account %d: %w", u, m.id, m.account.id, err)
		}
	}
	if len(uids) == limit {
		return &indexpb.Result{More: true}, nil
	}
	if err := x.delete(keys.Kept(x.key[:0], m.account.id, m.id)); err != nil {
		return nil, err
	}
	next, _, err := x.firstKept()
	return &indexpb.Result{More: next != nil}, err
}

// firstKept returns the first mailbox that waits, as far as it is remembered, or nil.
func (x *Execution) firstKept() (*mailboxState, *indexpb.Limits, error) {
	prefix := keys.Whole(nil, keys.TableKept)
	it, err := x.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, nil, fmt.Errorf("scan kept mailboxes: %w", err)
	}
	defer it.Close()
	if !it.First() {
		return nil, nil, it.Error()
	}
	a, id, err := keys.ReadMailbox(it.Key())
	if err != nil {
		return nil, nil, err
	}
	value, err := it.Value()
	if err != nil {
		return nil, nil, err
	}
	var rec indexpb.KeptRecord
	if err := rec.UnmarshalVT(value); err != nil {
		return nil, nil, fmt.Errorf("kept mailbox %d of account %d: %w: %w", id, a, err, ErrCorrupt)
	}
	m := (&accountState{id: a}).newState(id)
	m.gone = true
	m.rec.Name, m.rec.Keywords = rec.Name, rec.Keywords
	return m, rec.Limits, nil
}

// waiting returns the first messages of a mailbox that waits.
func (x *Execution) waiting(m *mailboxState, limit int) (uids []index.UID, err error) {
	prefix := keys.InMailbox(nil, keys.TableFlags, m.account.id, m.id)
	it, err := x.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok && len(uids) < limit; ok = it.Next() {
		u, err := uidOf(it)
		if err != nil {
			return nil, err
		}
		uids = append(uids, u)
	}
	return uids, it.Error()
}

// keepBuried files one message of a mailbox that waits, or releases it where there is no room.
func (x *Execution) keepBuried(m *mailboxState, u index.UID, limits *indexpb.Limits) error {
	flags, err := x.flagsOf(m, u)
	if err != nil {
		return err
	}
	s, err := x.summaryOf(m, u)
	if err != nil {
		return err
	}
	to, err := x.keptMailbox(m.account.id, m.rec.Name)
	if err != nil {
		return err
	}
	if to == nil || !to.room(1) || !to.account.fits(limits, 1, s.Size) {
		return x.release(m, u, index.BodyID(s.BodyId))
	}
	encoded, err := x.summarise(s, index.BodyID(s.BodyId))
	if err != nil {
		return err
	}
	kept := &indexpb.FlagRecord{System: flags.System, Keywords: to.numbers(words(m.rec.Keywords, flags.Keywords))}
	if _, err := x.file(to, kept, s, encoded); err != nil {
		return err
	}
	to.account.use(1, s.Size)
	return x.forget(m, u, index.BodyID(s.BodyId))
}
