package concordance

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-mail/rookery/index"
)

// Segments gives the sizes of a mailbox's segments.
func Segments(x *Index, a index.AccountID, m index.MailboxID) (sizes []int) {
	kept, err := x.segments(place{a, m})
	if err != nil {
		panic(err)
	}
	for _, s := range kept {
		sizes = append(sizes, len(s.UIDs))
	}
	return sizes
}

// Keys counts all keys.
func Keys(x *Index) (n int) {
	it, err := x.db.NewIter(nil)
	if err != nil {
		panic(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}

// Damage overwrites the descriptors of a mailbox's segments, or all of their postings.
func Damage(x *Index, a index.AccountID, m index.MailboxID, descriptors bool) {
	table := tablePostings
	if descriptors {
		table = tableSegment
	}
	err := each(x.db, place{a, m}.key(table), func(key, _ []byte) error {
		return x.db.Set(append([]byte(nil), key...), []byte{9, 9, 9}, pebble.NoSync)
	})
	if err != nil {
		panic(err)
	}
}
