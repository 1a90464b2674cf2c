package concordance

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-mail/rookery/index/search/trigram"
	"github.com/rookery-mail/rookery/index/uidset"
)

// maxMerged is how many octets of postings are made one segment at most.
const maxMerged = 16 << 20

// tidy merges segments and drops what is not in now, until there is nothing worth it.
func (x *Index) tidy(ctx context.Context, p place, kept []stored, now *uidset.Set) error {
	for ctx.Err() == nil {
		sizes := make([]size, len(kept))
		for i := range kept {
			sizes[i] = size{len(kept[i].UIDs) + len(kept[i].Beyond), kept[i].set().Intersect(now).Len(), kept[i].Size}
		}
		from, to, ok := plan(sizes)
		if !ok {
			return nil
		}
		made, err := x.merge(p, kept[from:to], following(kept), now)
		if err != nil {
			return err
		}
		kept = append(append(append([]stored{}, kept[:from]...), made...), kept[to:]...)
	}
	return ctx.Err()
}

// size is how many messages a segment has, how many of them are still there, and how many octets its postings.
type size struct {
	all, live int
	octets    uint64
}

// plan says which segments are to be made one: one of which less than half is left, or those at the end that are
// together no less than half of the one before them, so that a message is written again as often as what it is with
// grows by half.
func plan(sizes []size) (from, to int, ok bool) {
	for i, s := range sizes {
		if 2*s.live < s.all {
			return i, i + 1, true
		}
	}
	end := len(sizes)
	from, live, octets := end, 0, uint64(0)
	for from > 0 {
		before := sizes[from-1].live
		octets += sizes[from-1].octets
		if live+before > trigram.MaxMessages || (from < end && (before > 2*live || octets > maxMerged)) {
			break
		}
		from--
		live += before
	}
	return from, end, end-from > 1
}

// merge writes segments as one of number n, without what is not in now, and deletes them, in one batch.
func (x *Index) merge(p place, old []stored, n segment, now *uidset.Set) ([]stored, error) {
	b := x.db.NewBatch()
	defer b.Close()
	m := merging{Index: x, place: p, batch: b, n: n}
	for i := range old {
		m.take(&old[i], now)
	}
	err := m.postingsOf(old)
	for i := range old {
		prefix := p.segment(tablePostings, old[i].n)
		err = errors.Join(err, b.DeleteRange(prefix, after(prefix), nil), b.Delete(p.segment(tableSegment, old[i].n), nil))
	}
	var made []stored
	if len(m.into.UIDs)+len(m.into.Beyond) > 0 {
		err = errors.Join(err, b.Set(p.segment(tableSegment, n), m.into.Append(nil), nil))
		made = []stored{{&m.into, n}}
	}
	if err != nil {
		return nil, fmt.Errorf("merge %d segments: %w", len(old), err)
	}
	return made, b.Commit(pebble.NoSync)
}

// merging is a merge being carried out.
type merging struct {
	*Index
	place
	batch   *pebble.Batch
	n       segment
	into    trigram.Segment
	encoded []byte
	moved   [][]int // for each old segment and ordinal the new ordinal, or -1
}

// take gives the messages of a segment that stay their new ordinals.
func (m *merging) take(s *stored, now *uidset.Set) {
	moved := make([]int, len(s.UIDs))
	for i, u := range s.UIDs {
		moved[i] = -1
		if now.Contains(u) {
			moved[i] = len(m.into.UIDs)
			m.into.UIDs = append(m.into.UIDs, u)
		}
	}
	for _, u := range s.Beyond {
		if now.Contains(u) {
			m.into.Beyond = append(m.into.Beyond, u)
		}
	}
	m.moved = append(m.moved, moved)
	m.into.UIDValidity = s.UIDValidity
	m.into.ModSeq = max(m.into.ModSeq, s.ModSeq)
	if s.Last >= m.into.Last {
		m.into.Last, m.into.Saved = s.Last, s.Saved
	}
}

// postingsOf writes the postings of all grams of the segments, in ascending order.
func (m *merging) postingsOf(old []stored) error {
	if len(m.into.UIDs) == 0 {
		return nil
	}
	its := make([]*pebble.Iterator, len(old))
	var errs []error
	for i := range old {
		prefix := m.segment(tablePostings, old[i].n)
		it, err := m.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		defer it.Close()
		it.First()
		its[i] = it
	}
	for {
		gram := lowest(its)
		if gram == nil {
			break
		}
		if err := m.gram(old, its, gram); err != nil {
			return err
		}
	}
	for _, it := range its {
		errs = append(errs, it.Error())
	}
	return errors.Join(errs...)
}

// lowest gives the end of the lowest key at which an iterator stands, nil where none does. It is a copy.
func lowest(its []*pebble.Iterator) (gram []byte) {
	for _, it := range its {
		if it.Valid() && (gram == nil || bytes.Compare(it.Key()[placeSize+4:], gram) < 0) {
			gram = it.Key()[placeSize+4:]
		}
	}
	return bytes.Clone(gram)
}

// gram writes the postings of one gram and moves the iterators on.
func (m *merging) gram(old []stored, its []*pebble.Iterator, gram []byte) error {
	if len(gram) != 4 {
		return fmt.Errorf("gram %x: %w", gram, trigram.ErrFormat)
	}
	var all trigram.Ordinals
	for i, it := range its {
		if !it.Valid() || !bytes.Equal(it.Key()[placeSize+4:], gram) {
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		some, err := trigram.Decode(value, len(old[i].UIDs))
		if err != nil {
			return err
		}
		some.Each(func(at int) {
			if to := m.moved[i][at]; to >= 0 {
				all.Add(to)
			}
		})
		it.Next()
	}
	if all.Empty() {
		return nil
	}
	key := m.postings(m.n, trigram.Gram(binary.BigEndian.Uint32(gram)))
	m.encoded = trigram.Encode(m.encoded[:0], &all, len(m.into.UIDs))
	m.into.Size += uint64(len(m.encoded))
	return m.batch.Set(key, m.encoded, nil)
}
