package state

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/rookery-mail/rookery/cluster"
)

// Hash returns the SHA-256 of all keys and values of the group at one moment, but for the applied
// index, which it returns beside it. Replicas that applied the same entries hash equal.
func (g *Group) Hash() (sum [sha256.Size]byte, applied cluster.LogIndex, err error) {
	s := g.Snapshot()
	defer s.Close()
	it, err := s.Scan(nil, nil)
	if err != nil {
		return sum, 0, err
	}
	defer it.Close()
	h := sha256.New()
	var lengths [8]byte
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		value, err := it.Value()
		if err != nil {
			return sum, 0, err
		}
		if len(key) == 1 && key[0] == appliedKey {
			if applied, err = decodeApplied(value); err != nil {
				return sum, 0, err
			}
			continue
		}
		binary.BigEndian.PutUint32(lengths[:], uint32(len(key)))
		binary.BigEndian.PutUint32(lengths[4:], uint32(len(value)))
		h.Write(lengths[:])
		h.Write(key)
		h.Write(value)
	}
	if err := it.Error(); err != nil {
		return sum, 0, err
	}
	return [sha256.Size]byte(h.Sum(nil)), applied, nil
}
