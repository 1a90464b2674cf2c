package queue

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/keys"
)

// maxRemember is the longest that a key is remembered.
const maxRemember = 400 * int64(24*time.Hour/time.Millisecond)

// forgetAtOnce bounds the keys that one that is remembered makes room for: more than come, so that they do not pile up.
const forgetAtOnce = 4

// Remembered reports whether an account has a key at a time, in Unix milliseconds: an answer that was sent, or a message that was seen.
func Remembered(r kv.Reader, account uint64, key []byte, now int64) (bool, error) {
	until, err := rememberedUntil(r, account, key)
	return until > now, err
}

// rememberedUntil is when a key is forgotten, 0 for one that is not known.
func rememberedUntil(r kv.Reader, account uint64, key []byte) (int64, error) {
	value, ok, err := r.Get(rememberedKey(nil, account, key))
	if err != nil || !ok {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("key that account %d remembers: %w", account, ErrCorrupt)
	}
	return int64(binary.BigEndian.Uint64(value)), nil
}

// remember keeps a key, at least as long as it is kept already.
func (q *machine) remember(account uint64, key []byte, until int64) error {
	if err := q.forgetSome(); err != nil {
		return err
	}
	until = min(until, q.now+maxRemember)
	was, err := rememberedUntil(q.b, account, key)
	if err != nil || until <= max(was, q.now) {
		return err
	}
	if was != 0 {
		if err := q.b.Delete(forgetKey(nil, was, account, key)); err != nil {
			return err
		}
	}
	if err := q.b.Set(rememberedKey(nil, account, key), binary.BigEndian.AppendUint64(nil, uint64(until))); err != nil {
		return err
	}
	return q.b.Set(forgetKey(nil, until, account, key), nil)
}

// forgetSome removes keys whose time is over, the oldest first.
func (q *machine) forgetSome() error {
	var over [][]byte
	it, err := q.b.Scan([]byte{tableForget}, forgetKey(nil, q.now, 0, nil))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && len(over) < forgetAtOnce; ok = it.Next() {
		over = append(over, append([]byte(nil), it.Key()...))
	}
	err = it.Error()
	it.Close()
	if err != nil {
		return err
	}
	for _, old := range over {
		_, account, key, err := readForget(old)
		if err != nil {
			return err
		}
		if err := q.b.Delete(rememberedKey(nil, account, key)); err != nil {
			return err
		}
		if err := q.b.Delete(old); err != nil {
			return err
		}
	}
	return nil
}

func rememberedKey(dst []byte, account uint64, key []byte) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, tableRemembered), account), key...)
}

func readRemembered(stored []byte) (account uint64, key []byte, err error) {
	if len(stored) != 9+keys.DedupKeySize {
		return 0, nil, fmt.Errorf("key %x: %w", stored, errKey)
	}
	return binary.BigEndian.Uint64(stored[1:]), stored[9:], nil
}

// forgetKey orders what is remembered by when it is forgotten.
func forgetKey(dst []byte, until int64, account uint64, key []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, tableForget), uint64(until))
	return append(binary.BigEndian.AppendUint64(dst, account), key...)
}

func readForget(stored []byte) (until int64, account uint64, key []byte, err error) {
	if len(stored) != 17+keys.DedupKeySize {
		return 0, 0, nil, fmt.Errorf("key %x: %w", stored, errKey)
	}
	return int64(binary.BigEndian.Uint64(stored[1:])), binary.BigEndian.Uint64(stored[9:]), stored[17:], nil
}
