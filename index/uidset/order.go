package uidset

import (
	"iter"

	"github.com/rookery-mail/rookery/index"
)

// Rank returns the number of members at or below u: the sequence number of u where it is a member.
// It adds up the counts of the blocks before, 245 for a million messages.
func (s *Set) Rank(u index.UID) int {
	n := 0
	for i := range s.slots {
		sl := &s.slots[i]
		switch {
		case sl.number < BlockOf(u):
			n += int(sl.count)
		case sl.number > BlockOf(u):
			return n
		case sl.bits == nil:
			return n + offsetOf(u) + 1
		default:
			return n + sl.bits.rank(offsetOf(u))
		}
	}
	return n
}

// At returns the n-th member, counted from 1, or ok false where there are fewer.
func (s *Set) At(n int) (u index.UID, ok bool) {
	if n < 1 || n > s.size {
		return 0, false
	}
	for i := range s.slots {
		sl := &s.slots[i]
		if n > int(sl.count) {
			n -= int(sl.count)
			continue
		}
		off := n - 1
		if sl.bits != nil {
			off = sl.bits.at(n)
		}
		return index.UID(sl.number<<12) + index.UID(off), true
	}
	return 0, false
}

// Min returns the lowest member, 0 when empty.
func (s *Set) Min() index.UID {
	u, _ := s.At(1)
	return u
}

// Max returns the highest member, 0 when empty.
func (s *Set) Max() index.UID {
	if len(s.slots) == 0 {
		return 0
	}
	sl := &s.slots[len(s.slots)-1]
	off := BlockSize - 1
	if sl.bits != nil {
		off = sl.bits.at(int(sl.count))
	}
	return index.UID(sl.number<<12) + index.UID(off)
}

// Ranges walks the members as the fewest ranges, ascending. The set must not change meanwhile.
func (s *Set) Ranges() iter.Seq[index.UIDRange] {
	return func(yield func(index.UIDRange) bool) {
		var open index.UIDRange // Hi 0: none
		for i := range s.slots {
			sl := &s.slots[i]
			base := index.UID(sl.number << 12)
			for off := sl.nextSet(0); off < BlockSize; {
				end := sl.nextClear(off)
				r := index.UIDRange{Lo: base + index.UID(off), Hi: base + index.UID(end-1)}
				if open.Hi != 0 && open.Hi+1 == r.Lo {
					open.Hi = r.Hi
				} else {
					if open.Hi != 0 && !yield(open) {
						return
					}
					open = r
				}
				off = sl.nextSet(end)
			}
		}
		if open.Hi != 0 {
			yield(open)
		}
	}
}

// All walks the members in ascending order. The set must not change meanwhile.
func (s *Set) All() iter.Seq[index.UID] {
	return func(yield func(index.UID) bool) {
		for i := range s.slots {
			sl := &s.slots[i]
			base := index.UID(sl.number << 12)
			for off := sl.nextSet(0); off < BlockSize; off = sl.nextSet(off + 1) {
				if !yield(base + index.UID(off)) {
					return
				}
			}
		}
	}
}

func (sl *slot) nextSet(off int) int {
	if sl.bits == nil {
		return off
	}
	return sl.bits.nextSet(off)
}

func (sl *slot) nextClear(off int) int {
	if sl.bits == nil {
		return BlockSize
	}
	return sl.bits.nextClear(off)
}
