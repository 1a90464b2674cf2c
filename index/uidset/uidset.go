// Package uidset holds sets of UIDs as mailboxes have them: mostly contiguous, up to millions of
// members, asked for sequence numbers (RFC 9051, section 2.3.1.2), stored a block at a time. It is
// not the set syntax of IMAP; imapd/wire reads that.
//
// A set is an ordered list of blocks of 4,096 UIDs. A full block costs 16 bytes, any other 16 and a
// bitmap of 512. Clones share bitmaps until one of them writes.
package uidset

import (
	"sort"

	"github.com/rookery-mail/rookery/index"
)

// Set is an ordered set of UIDs. UID 0 is never a member. A Set, and Clone of it too, is for one
// goroutine at a time. The zero value is an empty set.
//
// Invariant: slots ascend by number, hold at least one member each, and have no bitmap where full.
type Set struct {
	slots []slot
	size  int
}

// slot is one block of a set.
type slot struct {
	number uint32 // BlockOf its members
	count  uint16 // members, 1 to BlockSize
	own    bool   // no clone shares the bitmap
	bits   *Block // nil when all of BlockSize are members
}

// New returns an empty set.
func New() *Set { return &Set{} }

// Of returns the union of ranges. A range with Lo above Hi is empty.
func Of(ranges ...index.UIDRange) *Set {
	s := New()
	for _, r := range ranges {
		s.AddRange(r.Lo, r.Hi)
	}
	return s
}

// Len returns the number of members.
func (s *Set) Len() int { return s.size }

// Clone returns a set with the same members. It shares the bitmaps, so that it costs 16 bytes a
// block; each side copies a bitmap when it first writes to it.
func (s *Set) Clone() *Set {
	for i := range s.slots {
		s.slots[i].own = false
	}
	return &Set{slots: append([]slot(nil), s.slots...), size: s.size}
}

// Contains reports whether u is a member.
func (s *Set) Contains(u index.UID) bool {
	i, ok := s.find(BlockOf(u))
	return ok && s.slots[i].contains(offsetOf(u))
}

// Add makes u a member.
func (s *Set) Add(u index.UID) { s.AddRange(u, u) }

// AddRange makes lo to hi members, both included. The cost is 16 bytes for each 4,096 of them, so a
// caller that reads "1:*" from a client bounds it first.
func (s *Set) AddRange(lo, hi index.UID) {
	lo = max(lo, 1)
	for n := BlockOf(lo); lo <= hi; n++ {
		last := min(hi, lastOf(n))
		s.update(n, func(b *Block) { b.setRange(offsetOf(lo), offsetOf(last)) })
		if last == lastOf(lastBlock) {
			return
		}
		lo = last + 1
	}
}

// Remove makes u no member.
func (s *Set) Remove(u index.UID) { s.RemoveRange(u, u) }

// RemoveRange makes none of lo to hi a member, both included.
func (s *Set) RemoveRange(lo, hi index.UID) {
	if lo > hi {
		return
	}
	i, _ := s.find(BlockOf(lo))
	kept := i
	for ; i < len(s.slots) && s.slots[i].number <= BlockOf(hi); i++ {
		sl := s.slots[i]
		first, last := 0, BlockSize-1
		if sl.number == BlockOf(lo) {
			first = offsetOf(lo)
		}
		if sl.number == BlockOf(hi) {
			last = offsetOf(hi)
		}
		before := sl.count
		if first == 0 && last == BlockSize-1 {
			sl.count = 0
		} else {
			sl.write(func(b *Block) { b.clearRange(first, last) })
		}
		s.size -= int(before - sl.count)
		if sl.count > 0 {
			s.slots[kept] = sl
			kept++
		}
	}
	s.slots = append(s.slots[:kept], s.slots[i:]...)
}

// PutBlock makes the members of b, a block of number n, members.
func (s *Set) PutBlock(n uint32, b *Block) {
	if b.Empty() {
		return
	}
	if len(s.slots) == 0 || s.slots[len(s.slots)-1].number < n {
		c := *b
		if n == 0 {
			c.clearRange(0, 0)
		}
		sl := slot{number: n, own: true, bits: &c}
		sl.settle()
		if sl.count > 0 {
			s.slots = append(s.slots, sl)
			s.size += int(sl.count)
		}
		return
	}
	s.update(n, func(dst *Block) { dst.union(b) })
}

// PutEncoded makes the members of a stored block of number n members. Errors are ErrFormat. A full
// block that follows all others costs next to nothing, which is what long mailboxes are made of.
func (s *Set) PutEncoded(n uint32, data []byte) error {
	if n > 0 && isFull(data) && (len(s.slots) == 0 || s.slots[len(s.slots)-1].number < n) {
		s.slots = append(s.slots, slot{number: n, count: BlockSize})
		s.size += BlockSize
		return nil
	}
	b, err := DecodeBlock(data)
	if err != nil {
		return err
	}
	s.PutBlock(n, &b)
	return nil
}

// Block returns a copy of block n; empty where the set has no members in it.
func (s *Set) Block(n uint32) Block {
	if i, ok := s.find(n); ok {
		return s.slots[i].block()
	}
	return Block{}
}

// find returns the position of block n, or where it would be inserted.
func (s *Set) find(n uint32) (i int, ok bool) {
	end := len(s.slots)
	if end == 0 || s.slots[end-1].number < n {
		return end, false
	}
	i = sort.Search(end, func(i int) bool { return s.slots[i].number >= n })
	return i, s.slots[i].number == n
}

// update adds members to block n through change, which must not remove any.
func (s *Set) update(n uint32, change func(*Block)) {
	i, ok := s.find(n)
	if !ok {
		s.slots = append(s.slots, slot{})
		copy(s.slots[i+1:], s.slots[i:])
		s.slots[i] = slot{number: n, own: true, bits: new(Block)}
	}
	sl := &s.slots[i]
	if sl.bits == nil {
		return
	}
	before := sl.count
	sl.write(change)
	s.size += int(sl.count - before)
	if sl.count == 0 {
		s.slots = append(s.slots[:i], s.slots[i+1:]...)
	}
}

func (sl *slot) contains(off int) bool { return sl.bits == nil || sl.bits.has(off) }

// block returns a copy of the bitmap.
func (sl *slot) block() Block {
	if sl.bits == nil {
		return fullBlock()
	}
	return *sl.bits
}

// write lets change alter a bitmap that no clone shares.
func (sl *slot) write(change func(*Block)) {
	if !sl.own || sl.bits == nil {
		c := sl.block()
		sl.bits, sl.own = &c, true
	}
	change(sl.bits)
	if sl.number == 0 {
		sl.bits.clearRange(0, 0) // UID 0
	}
	sl.settle()
}

// settle restores the invariants of count and bits.
func (sl *slot) settle() {
	sl.count = uint16(sl.bits.Len())
	if sl.count == BlockSize {
		sl.bits = nil
	}
}
