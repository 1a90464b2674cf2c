package reader

import (
	"bytes"
	"cmp"
	"iter"
	"slices"

	"github.com/rookery-mail/rookery/blobstore"
)

// The sizes in octets in which objects are read.
const (
	blockSize = 256 << 10
	maxGet    = 4 << 20 // of one GET
	bridge    = 1       // blocks that nobody asked for are fetched along, rather than to ask twice
)

// block is an aligned stretch of blockSize octets of a pack's object; the last one is shorter.
type block struct {
	pack   blobstore.PackID
	number int64
}

// part gives the octets of a chunk that lie in the block: where they go in octets, and from where in the
// block they come.
func (b block) part(ref blobstore.Ref, octets []byte) (to []byte, from int) {
	start := b.number * blockSize
	lo, hi := max(ref.Offset, start), min(ref.Offset+int64(ref.Length), start+blockSize)
	return octets[lo-ref.Offset : hi-ref.Offset], int(lo - start)
}

// span is neighbouring blocks of a pack.
type span struct {
	pack        *blobstore.Pack
	first, last int64 // numbers of blocks
}

func (s span) octets() int64 { return (s.last - s.first + 1) * blockSize }

func (s span) all() iter.Seq[block] {
	return func(yield func(block) bool) {
		for n := s.first; n <= s.last; n++ {
			if !yield(block{s.pack.ID, n}) {
				return
			}
		}
	}
}

// spanOf gives the blocks of a chunk.
func spanOf(ref blobstore.Ref) span {
	return span{ref.Pack, ref.Offset / blockSize, (ref.Offset + int64(ref.Length) - 1) / blockSize}
}

// spansOf gives the blocks of chunks, by pack and number, with those between two that are near. What is no
// place in a pack is left out.
func spansOf(refs []blobstore.Ref) []span {
	spans := make([]span, 0, len(refs))
	for _, ref := range refs {
		if ref.Pack != nil && ref.Offset >= 0 && ref.Length > 0 {
			spans = append(spans, spanOf(ref))
		}
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(bytes.Compare(a.pack.ID[:], b.pack.ID[:]), cmp.Compare(a.first, b.first))
	})
	joined := spans[:0]
	for _, s := range spans {
		if n := len(joined); n > 0 && joined[n-1].pack.ID == s.pack.ID && s.first <= joined[n-1].last+1+bridge {
			joined[n-1].last = max(joined[n-1].last, s.last)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}
