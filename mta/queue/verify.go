package queue

import (
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/queue/story"
)

// Verify checks what KEYS.md says holds between the keys of the queue. It reads all of them.
func Verify(r kv.Reader) error {
	v := &verifier{r: r, expect: map[string]bool{}, waiting: map[string]uint64{}}
	err := Entries(r, 0, v.entry)
	if err == nil {
		err = v.destinations()
	}
	if err == nil {
		err = v.conducts()
	}
	if err == nil {
		err = v.remembered()
	}
	for _, table := range []byte{tableRecipient, tableAgenda, tableDestination, tableWaiting, tableClaimed, tableAlarm, tableConduct, tableAcquainted, tableRemembered, tableForget} {
		if err == nil {
			err = v.nothingElse(table)
		}
	}
	if err == nil && len(v.expect) > 0 {
		err = fmt.Errorf("%d keys are missing: %w", len(v.expect), ErrCorrupt)
	}
	return errors.Join(err, story.Verify(r))
}

// verifier collects the keys that there must be.
type verifier struct {
	r       kv.Reader
	expect  map[string]bool
	waiting map[string]uint64
}

func (v *verifier) entry(id EntryID, e *queuepb.EntryRecord) (bool, error) {
	list, err := recipients(v.r, id)
	if err != nil {
		return false, err
	}
	if int(e.Open) != len(list) || e.Open == 0 {
		return false, fmt.Errorf("entry %d has %d recipients, not %d: %w", id, len(list), e.Open, ErrCorrupt)
	}
	if alarmed(e) {
		v.expect[string(alarmKey(nil, alarmOf(e), id))] = true
	}
	for _, r := range list {
		v.expect[string(recipientKey(nil, r.Place))] = true
		switch {
		case r.Record.State == queuepb.RecipientState_RECIPIENT_STATE_CLAIMED:
			v.expect[string(claimedKey(nil, r.Place))] = true
		case !e.Held:
			v.expect[string(waitingKey(nil, r.Record.Destination, rankOf(r.Record.Priority), r.Record.Due, r.Place))] = true
			v.waiting[r.Record.Destination]++
		}
	}
	return true, nil
}

func (v *verifier) destinations() error {
	floor, err := counter(v.r, controlFloor)
	if err != nil {
		return err
	}
	all, err := NewWaiters(v.r)
	if err != nil {
		return err
	}
	defer all.Close()
	for name, n := range v.waiting {
		rec, err := Destination(v.r, name)
		if err != nil {
			return err
		}
		first, listed := int64(1<<62), uint64(0)
		err = all.Due(name, rec, 1<<62, func(r Recipient) (bool, error) {
			first, listed = min(first, r.Record.Due), listed+1
			return true, nil
		})
		if err != nil {
			return err
		}
		if int64(floor) > rec.Next {
			return fmt.Errorf("%s is tried at %d, before the agenda begins at %d: %w", name, rec.Next, floor, ErrCorrupt)
		}
		if rec.Waiting != n || listed != n || rec.First > first || rec.Next != max(first, rec.ClosedUntil) {
			return fmt.Errorf("%d wait for %s, which says %v: %w", n, name, rec, ErrCorrupt)
		}
		v.expect[string(destinationKey(nil, name))] = true
		v.expect[string(agendaKey(nil, rec.Next, name))] = true
	}
	return nil
}

// conducts expects the acquaintances that each account says to have, and the notes of those whose hold nobody was told of.
func (v *verifier) conducts() error {
	prefix := conductKey(nil, 0)[:2]
	return v.each(prefix, func(key, value []byte) error {
		account, err := readConductKey(key)
		if err != nil {
			return err
		}
		rec := new(queuepb.ConductRecord)
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("conduct of account %d: %w: %w", account, err, ErrCorrupt)
		}
		v.expect[string(key)] = true
		if rec.HeldSince != 0 && rec.Noticed == 0 {
			v.expect[string(unnoticedKey(nil, account))] = true
		}
		known := uint32(0)
		err = v.each(acquaintanceKey(nil, account, nil), func(key, _ []byte) error {
			known++
			v.expect[string(key)] = true
			return nil
		})
		if err == nil && (known != rec.Acquaintances || known > maxAcquaintances) {
			err = fmt.Errorf("account %d has %d acquaintances, not %d: %w", account, known, rec.Acquaintances, ErrCorrupt)
		}
		return err
	})
}

// remembered expects each key that is remembered once by the time at which it is forgotten.
func (v *verifier) remembered() error {
	return v.each([]byte{tableRemembered}, func(stored, _ []byte) error {
		account, key, err := readRemembered(stored)
		if err != nil {
			return err
		}
		until, err := rememberedUntil(v.r, account, key)
		v.expect[string(stored)] = true
		v.expect[string(forgetKey(nil, until, account, key))] = true
		return err
	})
}

// each calls fn for the keys with a prefix.
func (v *verifier) each(prefix []byte, fn func(key, value []byte) error) error {
	it, err := v.r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return err
		}
		if err := fn(it.Key(), value); err != nil {
			return err
		}
	}
	return it.Error()
}

// nothingElse checks that a table has expected keys only, and takes them from those that are expected.
func (v *verifier) nothingElse(table byte) error {
	prefix := []byte{table}
	it, err := v.r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if !v.expect[string(it.Key())] {
			return fmt.Errorf("key %x: %w", it.Key(), ErrCorrupt)
		}
		delete(v.expect, string(it.Key()))
	}
	return it.Error()
}
