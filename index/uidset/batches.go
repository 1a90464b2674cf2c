package uidset

import (
	"iter"

	"github.com/rookery-mail/rookery/index"
)

// Batches gives the members in sets of n, the last of which may have fewer, in order. s must not change meanwhile.
func (s *Set) Batches(n int) iter.Seq[*Set] {
	return func(yield func(*Set) bool) {
		batch := New()
		left := n
		for r := range s.Ranges() {
			for lo := r.Lo; lo != 0 && lo <= r.Hi; {
				hi := r.Hi
				if uint64(hi)-uint64(lo)+1 > uint64(left) {
					hi = lo + index.UID(left) - 1
				}
				batch.AddRange(lo, hi)
				left -= int(hi - lo + 1)
				if left == 0 {
					if !yield(batch) {
						return
					}
					batch, left = New(), n
				}
				lo = hi + 1
			}
		}
		if batch.Len() > 0 {
			yield(batch)
		}
	}
}
