package window

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// How many octets of keys and values a page is to have: few where an iterator is placed, since often only one
// entry is wanted, and more each time it walks on.
const (
	firstWant = 4 << 10
	lastWant  = 128 << 10
)

// iterator is a kv.Iterator over pages of a snapshot. Invariant: page holds all keys of the snapshot from its
// first to its last.
type iterator struct {
	snapshot     *snapshot
	lower, upper []byte
	want         int
	page         []entry // ascending
	kept         []byte  // what page refers to
	at           int     // in page, where valid
	valid        bool
	after        bool // not valid, and behind the last key
	err          error
}

var _ kv.Iterator = (*iterator)(nil)

// First implements kv.Iterator.
func (i *iterator) First() bool { return i.SeekGE(i.lower) }

// Last implements kv.Iterator.
func (i *iterator) Last() bool { return i.back(i.upper) }

// Next implements kv.Iterator.
func (i *iterator) Next() bool {
	switch {
	case !i.valid && !i.after:
		return i.First()
	case !i.valid:
		return false
	case i.at+1 < len(i.page):
		i.at++
		return true
	}
	i.want = min(2*i.want, lastWant)
	return i.forth(append(bytes.Clone(i.Key()), 0))
}

// Prev implements kv.Iterator.
func (i *iterator) Prev() bool {
	switch {
	case !i.valid && i.after:
		return i.Last()
	case !i.valid:
		return false
	case i.at > 0:
		i.at--
		return true
	}
	i.want = min(2*i.want, lastWant)
	return i.back(bytes.Clone(i.Key()))
}

// SeekGE implements kv.Iterator.
func (i *iterator) SeekGE(key []byte) bool {
	if bytes.Compare(key, i.lower) < 0 {
		key = i.lower
	}
	if n := i.find(key); n > 0 && n < len(i.page) || n == 0 && len(i.page) > 0 && bytes.Equal(i.page[0].key, key) {
		i.at, i.valid = n, i.err == nil
		return i.valid
	}
	i.want = max(i.want/2, firstWant)
	return i.forth(key)
}

// SeekLT implements kv.Iterator.
func (i *iterator) SeekLT(key []byte) bool {
	if len(i.upper) > 0 && bytes.Compare(key, i.upper) > 0 {
		key = i.upper
	}
	if n := i.find(key); n > 0 && n < len(i.page) {
		i.at, i.valid = n-1, i.err == nil
		return i.valid
	}
	if bytes.Compare(key, i.lower) <= 0 { // an empty upper bound would be none
		i.valid, i.after = false, false
		return false
	}
	i.want = max(i.want/2, firstWant)
	return i.back(key)
}

// find is the place in the page of the first key at or above key.
func (i *iterator) find(key []byte) int {
	return sort.Search(len(i.page), func(n int) bool { return bytes.Compare(i.page[n].key, key) >= 0 })
}

// forth goes to the first key from lower on.
func (i *iterator) forth(lower []byte) bool {
	if i.fetch(scan{want: i.want, lower: lower, upper: i.upper}) {
		i.at, i.valid = 0, true
		return true
	}
	i.after = true
	return false
}

// back goes to the last key below upper.
func (i *iterator) back(upper []byte) bool {
	if i.fetch(scan{backward: true, want: i.want, lower: i.lower, upper: upper}) {
		slices.Reverse(i.page)
		i.at, i.valid = len(i.page)-1, true
		return true
	}
	i.after = false
	return false
}

// fetch reads a page, and reports whether there is anything in it.
func (i *iterator) fetch(s scan) bool {
	i.page, i.valid = nil, false
	if i.err != nil || len(s.upper) > 0 && bytes.Compare(s.lower, s.upper) >= 0 {
		return false
	}
	err := i.snapshot.ask(opScan, s.append(nil), func(answer []byte) (err error) {
		i.kept = append(i.kept[:0], answer...)
		i.page, _, err = parsePage(i.kept)
		return err
	})
	if errors.Is(err, kv.ErrRestored) {
		// What came before was told already, so nobody may begin anew.
		err = fmt.Errorf("%w: %v", cluster.ErrUnavailable, err)
	}
	i.err = err
	return err == nil && len(i.page) > 0
}

// Valid implements kv.Iterator.
func (i *iterator) Valid() bool { return i.valid }

// Key implements kv.Iterator.
func (i *iterator) Key() []byte { return i.page[i.at].key }

// Value implements kv.Iterator.
func (i *iterator) Value() ([]byte, error) { return i.page[i.at].value, nil }

// Error implements kv.Iterator.
func (i *iterator) Error() error { return i.err }

// Close implements kv.Iterator.
func (i *iterator) Close() error {
	i.page, i.kept, i.valid = nil, nil, false
	return i.err
}
