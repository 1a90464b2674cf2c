package uidset

import (
	"math/bits"

	"github.com/rookery-mail/rookery/index"
)

// BlockSize is the number of UIDs of one block.
const BlockSize = 4096

const (
	words     = BlockSize / 64
	lastBlock = 1<<20 - 1
)

// BlockOf returns the number of the block that u is in: u>>12.
func BlockOf(u index.UID) uint32 { return uint32(u) >> 12 }

func offsetOf(u index.UID) int { return int(u) & (BlockSize - 1) }

func lastOf(n uint32) index.UID { return index.UID(n<<12 | (BlockSize - 1)) }

// Block is a bitmap over the UIDs of one block. The zero value has no members.
type Block struct{ w [words]uint64 }

func fullBlock() Block {
	var b Block
	for i := range b.w {
		b.w[i] = ^uint64(0)
	}
	return b
}

// Len returns the number of members.
func (b *Block) Len() int {
	n := 0
	for _, w := range b.w {
		n += bits.OnesCount64(w)
	}
	return n
}

// Empty reports whether there is no member.
func (b *Block) Empty() bool {
	for _, w := range b.w {
		if w != 0 {
			return false
		}
	}
	return true
}

// Contains reports whether u, a UID of this block, is a member.
func (b *Block) Contains(u index.UID) bool { return b.has(offsetOf(u)) }

// Add makes u, a UID of this block, a member.
func (b *Block) Add(u index.UID) { b.w[offsetOf(u)/64] |= 1 << (offsetOf(u) % 64) }

// Remove makes u, a UID of this block, no member.
func (b *Block) Remove(u index.UID) { b.w[offsetOf(u)/64] &^= 1 << (offsetOf(u) % 64) }

// First returns the lowest member as a UID of block n, or 0 where there is none.
func (b *Block) First(n uint32) index.UID {
	if off := b.nextSet(0); off < BlockSize {
		return index.UID(n<<12) + index.UID(off)
	}
	return 0
}

func (b *Block) has(off int) bool { return b.w[off/64]&(1<<(off%64)) != 0 }

func (b *Block) setRange(lo, hi int) {
	for lo <= hi {
		i := lo / 64
		b.w[i] |= mask(lo%64, min(hi-i*64, 63))
		lo = (i + 1) * 64
	}
}

func (b *Block) clearRange(lo, hi int) {
	for lo <= hi {
		i := lo / 64
		b.w[i] &^= mask(lo%64, min(hi-i*64, 63))
		lo = (i + 1) * 64
	}
}

// mask has the bits lo to hi set, both included and below 64.
func mask(lo, hi int) uint64 {
	return (^uint64(0) << lo) & (^uint64(0) >> (63 - hi))
}

func (b *Block) union(o *Block) {
	for i := range b.w {
		b.w[i] |= o.w[i]
	}
}

func (b *Block) subtract(o *Block) {
	for i := range b.w {
		b.w[i] &^= o.w[i]
	}
}

func (b *Block) intersect(o *Block) {
	for i := range b.w {
		b.w[i] &= o.w[i]
	}
}

// nextSet returns the first member's offset at or after off, or BlockSize.
func (b *Block) nextSet(off int) int { return b.next(off, 0) }

// nextClear returns the first offset at or after off that is no member, or BlockSize.
func (b *Block) nextClear(off int) int { return b.next(off, ^uint64(0)) }

func (b *Block) next(off int, invert uint64) int {
	for off < BlockSize {
		if w := (b.w[off/64] ^ invert) >> (off % 64); w != 0 {
			return off + bits.TrailingZeros64(w)
		}
		off = (off/64 + 1) * 64
	}
	return BlockSize
}

// rank returns the number of members at or below off.
func (b *Block) rank(off int) int {
	n := 0
	for i := range off / 64 {
		n += bits.OnesCount64(b.w[i])
	}
	return n + bits.OnesCount64(b.w[off/64]&mask(0, off%64))
}

// at returns the offset of the n-th member, counted from 1. There must be as many.
func (b *Block) at(n int) int {
	for i, w := range b.w {
		c := bits.OnesCount64(w)
		if n > c {
			n -= c
			continue
		}
		for ; n > 1; n-- {
			w &= w - 1
		}
		return i*64 + bits.TrailingZeros64(w)
	}
	panic("uidset: at beyond the members of a block")
}

// AppendUIDs appends the members from lo to hi, both included, as UIDs of block n.
func (b *Block) AppendUIDs(dst []index.UID, n uint32, lo, hi index.UID) []index.UID {
	base := index.UID(n << 12)
	lo, hi = max(lo, base), min(hi, lastOf(n))
	if lo > hi {
		return dst
	}
	for off := b.nextSet(offsetOf(lo)); off <= offsetOf(hi); off = b.nextSet(off + 1) {
		dst = append(dst, base+index.UID(off))
	}
	return dst
}
