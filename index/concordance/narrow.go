package concordance

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/search/trigram"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Narrow gives those of uids, messages of a mailbox, that may match q: all that are not kept yet, and of the others
// those that have what q asks. A mailbox that is searched for the first time is taken in from then on. What cannot be
// read narrows nothing.
func (x *Index) Narrow(a index.AccountID, box index.Mailbox, uids *uidset.Set, q *trigram.Query) *uidset.Set {
	if q == nil || uids.Len() < x.c.Least {
		return uids
	}
	x.life.RLock()
	defer x.life.RUnlock()
	p := place{a, box.ID}
	if x.closed || !x.trusts(p) {
		return uids
	}
	f := finding{place: p, validity: box.UIDValidity, query: q, covered: uidset.New(), hits: uidset.New()}
	if err := f.run(x.db); err != nil {
		x.log.Warn("the search index of a mailbox cannot be read, it is made anew", "account", a, "mailbox", box.ID, "error", err)
		x.distrust(p)
		return uids
	}
	out := uids.Clone()
	out.Subtract(f.covered)
	if f.foreign || out.Len() >= x.c.Least {
		x.ask(p)
	}
	out.Union(f.hits.Intersect(uids))
	if out.Len() == uids.Len() {
		return uids
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.counts.Searches++
	x.counts.Opened += uint64(out.Len())
	x.counts.Spared += uint64(uids.Len() - out.Len())
	return out
}

// finding is a query being answered for one mailbox.
type finding struct {
	place
	validity uint32
	query    *trigram.Query

	covered, hits *uidset.Set
	foreign       bool // there are segments of another UIDVALIDITY
}

func (f *finding) run(db *pebble.DB) error {
	snap := db.NewSnapshot()
	defer snap.Close()
	prefix := f.key(tablePostings)
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	return each(snap, f.key(tableSegment), func(key, value []byte) error {
		s, err := trigram.ReadSegment(value)
		if err != nil {
			return err
		}
		if s.UIDValidity != f.validity {
			f.foreign = true
			return nil
		}
		n, err := segmentOf(key)
		if err != nil {
			return err
		}
		return f.segment(it, n, s)
	})
}

// segment finds what one segment has.
func (f *finding) segment(it *pebble.Iterator, n segment, s *trigram.Segment) error {
	found, err := f.query.Find(len(s.UIDs), func(g trigram.Gram) ([]byte, error) {
		key := f.postings(n, g)
		if !it.SeekGE(key) || !bytes.Equal(it.Key(), key) {
			return nil, it.Error()
		}
		return it.ValueAndErr()
	})
	if err != nil {
		return fmt.Errorf("segment %d: %w", n, err)
	}
	cover(f.covered, s.UIDs)
	found.Each(func(at int) { f.hits.Add(s.UIDs[at]) })
	return nil
}

// cover adds messages to a set, most of which follow each other.
func cover(set *uidset.Set, uids []index.UID) {
	for i := 0; i < len(uids); {
		j := i + 1
		for j < len(uids) && uids[j] == uids[j-1]+1 {
			j++
		}
		set.AddRange(uids[i], uids[j-1])
		i = j
	}
}

func segmentOf(key []byte) (segment, error) {
	if len(key) != placeSize+4 {
		return 0, fmt.Errorf("key %x: %w", key, trigram.ErrFormat)
	}
	return segment(binary.BigEndian.Uint32(key[placeSize:])), nil
}
