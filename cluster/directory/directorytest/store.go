package directorytest

import (
	"bytes"
	"slices"
	"sort"

	"github.com/rookery-mail/rookery/cluster/kv"
)

type entry struct{ key, value []byte }

// Store is a kv.Batch in memory whose writes are visible at once. The zero Store is empty. It is for
// one goroutine; its snapshots are for any.
type Store struct {
	entries []entry // by key
	shared  bool    // a snapshot has the slice, so it is copied before the next write
}

var (
	_ kv.Batch    = (*Store)(nil)
	_ kv.Snapshot = (*Store)(nil)
	_ kv.Iterator = (*iterator)(nil)
)

// Snapshot is the store of this moment.
func (s *Store) Snapshot() *Store {
	if !s.shared {
		s.shared = true
	}
	return &Store{entries: s.entries, shared: true}
}

// Close does nothing.
func (s *Store) Close() error { return nil }

// Get is of kv.Reader.
func (s *Store) Get(key []byte) (value []byte, ok bool, err error) {
	at, ok := s.find(key)
	if !ok {
		return nil, false, nil
	}
	return bytes.Clone(s.entries[at].value), true, nil
}

// Scan is of kv.Reader. The iterator does not see later writes.
func (s *Store) Scan(lower, upper []byte) (kv.Iterator, error) {
	from, _ := s.find(lower)
	to := len(s.entries)
	if len(upper) > 0 {
		to, _ = s.find(upper)
	}
	if !s.shared { // a snapshot is, and may be read from many goroutines
		s.shared = true
	}
	return &iterator{entries: s.entries[from:max(from, to)], at: -1}, nil
}

// Set is of kv.Writer.
func (s *Store) Set(key, value []byte) error {
	s.own()
	e := entry{bytes.Clone(key), bytes.Clone(value)}
	at, ok := s.find(key)
	if ok {
		s.entries[at] = e
		return nil
	}
	s.entries = slices.Insert(s.entries, at, e)
	return nil
}

// Delete is of kv.Writer.
func (s *Store) Delete(key []byte) error {
	if at, ok := s.find(key); ok {
		s.own()
		s.entries = slices.Delete(s.entries, at, at+1)
	}
	return nil
}

// DeleteRange is of kv.Writer.
func (s *Store) DeleteRange(lower, upper []byte) error {
	s.own()
	from, _ := s.find(lower)
	to, _ := s.find(upper)
	s.entries = slices.Delete(s.entries, from, max(from, to))
	return nil
}

func (s *Store) own() {
	if s.shared {
		s.entries, s.shared = slices.Clone(s.entries), false
	}
}

func (s *Store) find(key []byte) (int, bool) {
	return sort.Find(len(s.entries), func(i int) int { return bytes.Compare(key, s.entries[i].key) })
}

type iterator struct {
	entries []entry
	at      int
}

func (i *iterator) move(to int) bool {
	i.at = min(max(to, -1), len(i.entries))
	return i.Valid()
}

func (i *iterator) First() bool { return i.move(0) }
func (i *iterator) Last() bool  { return i.move(len(i.entries) - 1) }
func (i *iterator) Next() bool  { return i.move(i.at + 1) }
func (i *iterator) Prev() bool  { return i.move(i.at - 1) }

func (i *iterator) SeekGE(key []byte) bool {
	return i.move(sort.Search(len(i.entries), func(n int) bool { return bytes.Compare(i.entries[n].key, key) >= 0 }))
}

func (i *iterator) SeekLT(key []byte) bool {
	return i.move(sort.Search(len(i.entries), func(n int) bool { return bytes.Compare(i.entries[n].key, key) >= 0 }) - 1)
}

func (i *iterator) Valid() bool            { return i.at >= 0 && i.at < len(i.entries) }
func (i *iterator) Key() []byte            { return i.entries[i.at].key }
func (i *iterator) Value() ([]byte, error) { return i.entries[i.at].value, nil }
func (i *iterator) Error() error           { return nil }
func (i *iterator) Close() error           { return nil }
