// Package kv holds the words for ordered keys and values as state machines see them: the keys of
// one group, without the group's prefix. It is implemented over Pebble by cluster/state; it is not
// a database of its own.
package kv

import (
	"errors"
	"io"
)

// ErrRestored says that the state a snapshot shows was replaced by that of another replica. The reader
// takes a new snapshot.
var ErrRestored = errors.New("the state was replaced while it was read")

// Reader reads a consistent state. Keys order by bytes.
type Reader interface {
	// Get returns the value of key, or ok false where there is none. The value is the caller's.
	Get(key []byte) (value []byte, ok bool, err error)
	// Scan returns an iterator over lower <= key < upper, standing before the first key. An empty
	// or nil upper is the end of the group's keys. The caller closes it.
	Scan(lower, upper []byte) (Iterator, error)
}

// Iterator walks keys in either direction. Key and Value are valid until the next move.
type Iterator interface {
	First() bool
	Last() bool
	Next() bool
	Prev() bool
	SeekGE(key []byte) bool
	SeekLT(key []byte) bool
	Valid() bool
	Key() []byte
	Value() ([]byte, error)
	// Error is the first error of any move.
	Error() error
	io.Closer
}

// Writer collects changes. The arguments may be reused after the call.
type Writer interface {
	Set(key, value []byte) error
	Delete(key []byte) error
	// DeleteRange removes lower <= key < upper.
	DeleteRange(lower, upper []byte) error
}

// Batch reads its own writes; all of it becomes visible and durable at once, or none.
type Batch interface {
	Reader
	Writer
}

// Snapshot is a Reader of one moment. The caller closes it; a snapshot that stays open holds back
// the reclaiming of space.
type Snapshot interface {
	Reader
	io.Closer
}
