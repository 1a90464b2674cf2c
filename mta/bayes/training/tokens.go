package training

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
)

// How a model that is full makes room.
const (
	evictAmong = 8  // the least useful of so many goes
	halfLife   = 90 // days after which what was observed counts half as much for that
)

// count adds one message of a class to each of the tokens, which ascend.
func (x *execution) count(m *model, ids []uint64, c bayespb.Class) error {
	values := make([]observed, len(ids))
	var fresh []uint64
	for i, id := range ids {
		o, ok, err := x.token(m, id)
		if err != nil {
			return err
		}
		if !ok {
			fresh = append(fresh, id)
		}
		at := &o.Ham
		if c == bayespb.Class_CLASS_SPAM {
			at = &o.Spam
		}
		if *at < math.MaxUint32 {
			*at++
		}
		o.day = x.day()
		values[i] = o
	}
	m.rec.Tokens += uint32(len(fresh))
	if m.rec.Tokens > m.most {
		if err := x.evict(m, ids, fresh, int(m.rec.Tokens-m.most)); err != nil {
			return fmt.Errorf("make room in the model of account %d: %w", m.account, err)
		}
	}
	for i, id := range ids {
		if err := x.b.Set(tokenKey(nil, m.account, id), values[i].append(nil)); err != nil {
			return err
		}
	}
	return nil
}

// discount takes one message of a class from each of the tokens. One that was evicted meanwhile stays away.
func (x *execution) discount(m *model, ids []uint64, c bayespb.Class) error {
	for _, id := range ids {
		o, ok, err := x.token(m, id)
		if err != nil {
			return err
		}
		at := &o.Ham
		if c == bayespb.Class_CLASS_SPAM {
			at = &o.Spam
		}
		if !ok || *at == 0 {
			continue
		}
		*at--
		key := tokenKey(nil, m.account, id)
		if o.Spam != 0 || o.Ham != 0 {
			err = x.b.Set(key, o.append(nil))
		} else {
			m.rec.Tokens--
			err = x.b.Delete(key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *execution) day() uint32 { return uint32(max(x.now, 0) / day) }

func (x *execution) token(m *model, id uint64) (o observed, ok bool, err error) {
	value, ok, err := x.b.Get(tokenKey(nil, m.account, id))
	if err != nil || !ok {
		return o, false, err
	}
	if o, err = readObserved(value); err != nil {
		return o, false, fmt.Errorf("%w: %w", err, ErrCorrupt)
	}
	return o, true, nil
}

// evict makes room for tokens: for each of as many of the fresh ones as there are too many, the least useful of those whose
// numbers follow goes, none of the message's own. That some are compared, and not all, keeps the cost flat without a
// list by usefulness.
func (x *execution) evict(m *model, ids, fresh []uint64, over int) error {
	prefix := inAccount(nil, tableToken, m.account)
	it, err := x.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	victims := map[uint64]bool{}
	for _, id := range fresh[:min(over, len(fresh))] {
		victim, ok, err := x.leastUseful(it, tokenKey(nil, m.account, id), func(id uint64) bool {
			_, own := slices.BinarySearch(ids, id)
			return own || victims[id]
		})
		if err != nil {
			_ = it.Close() // the error that matters is err
			return err
		}
		if ok {
			victims[victim] = true
		}
	}
	if err := it.Close(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(victims)) {
		if err := x.b.Delete(tokenKey(nil, m.account, id)); err != nil {
			return err
		}
	}
	m.rec.Tokens -= uint32(len(victims))
	return nil
}

// leastUseful finds among the tokens behind a key, and those from the first on where it is the last, the least useful that
// is not kept.
func (x *execution) leastUseful(it kv.Iterator, from []byte, kept func(uint64) bool) (victim uint64, found bool, err error) {
	var least uint64
	wrapped := false
	ok := it.SeekGE(from)
	for seen := 0; seen < evictAmong; ok = it.Next() {
		if !ok {
			if err := it.Error(); err != nil || wrapped {
				return victim, found, err
			}
			if wrapped, ok = true, it.First(); !ok {
				return victim, found, it.Error()
			}
		}
		id, err := readToken(it.Key())
		if err != nil {
			return 0, false, fmt.Errorf("%w: %w", err, ErrCorrupt)
		}
		if kept(id) {
			continue
		}
		value, err := it.Value()
		if err != nil {
			return 0, false, err
		}
		o, err := readObserved(value)
		if err != nil {
			return 0, false, fmt.Errorf("%w: %w", err, ErrCorrupt)
		}
		seen++
		if u := x.usefulness(o); !found || u < least {
			victim, least, found = id, u, true
		}
	}
	return victim, found, it.Error()
}

// usefulness grows with how many messages had a token, and falls with how long ago the last of them was. Of two with the
// same count the younger is the more useful.
func (x *execution) usefulness(o observed) uint64 {
	age := max(x.day(), o.day) - o.day
	halvings := min(age/halfLife, 63)
	return (uint64(o.Spam)+uint64(o.Ham))<<16>>halvings + uint64(halfLife-min(age, halfLife))
}
