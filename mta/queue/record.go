package queue

import (
	"encoding/binary"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

type record interface {
	MarshalVT() ([]byte, error)
}

func (q *machine) put(key []byte, rec record) error {
	value, err := rec.MarshalVT()
	if err != nil {
		return fmt.Errorf("encode record of the queue: %w", err)
	}
	return q.b.Set(key, value)
}

func (q *machine) putEntry(id EntryID, e *queuepb.EntryRecord) error {
	return q.put(entryKey(nil, id), e)
}

// read reads the record under key into m, ok false where there is none.
func read(r kv.Reader, key []byte, m interface{ UnmarshalVT([]byte) error }) (ok bool, err error) {
	value, ok, err := r.Get(key)
	if err != nil || !ok {
		return false, err
	}
	if err := m.UnmarshalVT(value); err != nil {
		return false, fmt.Errorf("record under %x: %w: %w", key, err, ErrCorrupt)
	}
	return true, nil
}

// readEntry returns nil where there is no such entry.
func readEntry(r kv.Reader, id EntryID) (*queuepb.EntryRecord, error) {
	e := new(queuepb.EntryRecord)
	if ok, err := read(r, entryKey(nil, id), e); err != nil || !ok {
		return nil, err
	}
	return e, nil
}

// mustEntry is readEntry of an entry that a recipient names.
func mustEntry(r kv.Reader, id EntryID) (*queuepb.EntryRecord, error) {
	e, err := readEntry(r, id)
	if err == nil && e == nil {
		err = fmt.Errorf("entry %d is missing: %w", id, ErrCorrupt)
	}
	return e, err
}

// readRecipient returns nil where there is no such recipient.
func readRecipient(r kv.Reader, p Place) (*queuepb.RecipientRecord, error) {
	rec := new(queuepb.RecipientRecord)
	if ok, err := read(r, recipientKey(nil, p), rec); err != nil || !ok {
		return nil, err
	}
	return rec, nil
}

func (q *machine) counter(what byte) (uint64, error) { return counter(q.b, what) }

func counter(r kv.Reader, what byte) (uint64, error) {
	value, ok, err := r.Get(controlKey(nil, what))
	if err != nil || !ok {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("counter %d of %d octets: %w", what, len(value), ErrCorrupt)
	}
	return binary.BigEndian.Uint64(value), nil
}

func (q *machine) setCounter(what byte, v uint64) error {
	return q.b.Set(controlKey(nil, what), binary.BigEndian.AppendUint64(nil, v))
}
