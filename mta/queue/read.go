package queue

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// Due is a destination that is to be tried.
type Due struct {
	Destination string
	At          int64 // Unix milliseconds
}

// Agenda returns up to n destinations behind after that are to be tried by a time in Unix milliseconds, in that order, and
// when the next one behind them is; 0 for none. The zero Due has all of them before it.
func Agenda(r kv.Reader, after Due, now int64, n int) (due []Due, next int64, err error) {
	floor, err := counter(r, controlFloor)
	if err != nil {
		return nil, 0, err
	}
	from := agendaKey(nil, int64(floor), "")
	if after.At >= int64(floor) && after.Destination != "" {
		from = append(agendaKey(nil, after.At, after.Destination), 0)
	}
	it, err := r.Scan(from, keys.After(nil, []byte{tableAgenda}))
	if err != nil {
		return nil, 0, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		at, name, err := readAgenda(it.Key())
		if err != nil {
			return nil, 0, err
		}
		if at > now || len(due) == n {
			next = at
			break
		}
		due = append(due, Due{name, at})
	}
	return due, next, it.Error()
}

// Waiters walks along those who wait, of one destination after the other, with one iterator for all: opening one costs more
// than a step. Close ends it.
type Waiters struct {
	r  kv.Reader
	it kv.Iterator
}

// NewWaiters makes Waiters of a state.
func NewWaiters(r kv.Reader) (*Waiters, error) {
	prefix := []byte{tableWaiting}
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, err
	}
	return &Waiters{r, it}, nil
}

// Close ends the walk.
func (w *Waiters) Close() error { return w.it.Close() }

// Due calls fn for each recipient that waits for a destination and is due by a time, those of the highest priority
// first and of them those that are due first, until it returns false. rec is the record of the destination. It does not
// step behind the last who waits: keys of others lie there that were deleted.
func (w *Waiters) Due(destination string, rec *queuepb.DestinationRecord, now int64, fn func(Recipient) (bool, error)) error {
	left := rec.Waiting
	for rank := byte(0); rank < ranks; rank++ {
		if rec.Ranks&(1<<rank) == 0 {
			continue
		}
		within := waitingAt(nil, destination, rank)
		ok := w.it.SeekGE(waitingFrom(nil, destination, rank, rec.First))
		for ; ok && bytes.HasPrefix(w.it.Key(), within); ok = w.it.Next() {
			due, p, err := readWaiting(w.it.Key())
			if err != nil {
				return err
			}
			if due > now {
				break
			}
			if more, err := w.tell(p, fn); err != nil || !more {
				return err
			}
			if left--; left == 0 {
				return nil
			}
		}
	}
	return w.it.Error()
}

func (w *Waiters) tell(p Place, fn func(Recipient) (bool, error)) (more bool, err error) {
	rec, err := readRecipient(w.r, p)
	if err != nil {
		return false, err
	}
	if rec == nil {
		return false, fmt.Errorf("recipient %d of entry %d waits and is missing: %w", p.Recipient, p.Entry, ErrCorrupt)
	}
	return fn(Recipient{p, rec})
}

// Alarms returns up to n entries whose delay is to be told, or whose time is over, by a time in Unix milliseconds, and when
// the next one after it is, if that is before a later time; 0 for none. Keys of what was delivered long before its alarm
// lie behind, and are not looked at.
func Alarms(r kv.Reader, now, until int64, n int) (list []EntryID, next int64, err error) {
	it, err := r.Scan([]byte{tableAlarm}, alarmKey(nil, until, 0))
	if err != nil {
		return nil, 0, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		at, id, err := readAlarm(it.Key())
		if err != nil {
			return nil, 0, err
		}
		if at > now || len(list) == n {
			next = at
			break
		}
		list = append(list, id)
	}
	return list, next, it.Error()
}

// Destination returns what is known of a destination; nothing where none waits for it.
func Destination(r kv.Reader, name string) (*queuepb.DestinationRecord, error) {
	rec := new(queuepb.DestinationRecord)
	_, err := read(r, destinationKey(nil, name), rec)
	return rec, err
}

// Record returns what the recipients of an entry share, ok false where it is gone.
func Record(r kv.Reader, id EntryID) (e *queuepb.EntryRecord, ok bool, err error) {
	e, err = readEntry(r, id)
	return e, e != nil, err
}

// Entry returns an entry with its open recipients, ok false where it is gone.
func Entry(r kv.Reader, id EntryID) (e *queuepb.EntryRecord, list []Recipient, ok bool, err error) {
	if e, err = readEntry(r, id); err != nil || e == nil {
		return nil, nil, false, err
	}
	list, err = recipients(r, id)
	return e, list, true, err
}

// Entries calls fn for each entry behind after, in the order in which they came, until it returns false.
func Entries(r kv.Reader, after EntryID, fn func(EntryID, *queuepb.EntryRecord) (bool, error)) error {
	prefix := []byte{tableEntry}
	it, err := r.Scan(entryKey(nil, after+1), keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		p := it.Key()
		if len(p) != 9 {
			return fmt.Errorf("key %x: %w", p, errKey)
		}
		id := EntryID(binary.BigEndian.Uint64(p[1:]))
		value, err := it.Value()
		if err != nil {
			return err
		}
		e := new(queuepb.EntryRecord)
		if err := e.UnmarshalVT(value); err != nil {
			return fmt.Errorf("entry %d: %w: %w", id, err, ErrCorrupt)
		}
		if more, err := fn(id, e); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// user is an entry among the users of bodies.
func user(id EntryID) staging.User {
	return staging.User{Account: staging.QueueAccount, Mailbox: index.MailboxID(id >> 32), UID: index.UID(uint32(id))}
}

// Users lists up to n entries behind after with their bodies, as mailbox.Others.
func (*Queue) Users(r kv.Reader, after staging.User, n int) (list []staging.Used, err error) {
	from := EntryID(0)
	if after.Account == staging.QueueAccount {
		from = EntryID(after.Mailbox)<<32 | EntryID(after.UID)
	}
	err = Entries(r, from, func(id EntryID, e *queuepb.EntryRecord) (bool, error) {
		list = append(list, staging.Used{Body: index.BodyID(e.Body), User: user(id)})
		return len(list) < n, nil
	})
	return list, err
}
