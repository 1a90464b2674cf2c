package trigram

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// ErrFormat says that bytes are not what this package encodes.
var ErrFormat = errors.New("not a piece of a search index of this version")

// Ordinals is a set of the messages of a segment by their numbers in it.
type Ordinals [MaxMessages / 64]uint64

// First gives the set of the first n ordinals.
func First(n int) Ordinals {
	var o Ordinals
	for i := range o {
		switch left := n - 64*i; {
		case left >= 64:
			o[i] = ^uint64(0)
		case left > 0:
			o[i] = 1<<left - 1
		}
	}
	return o
}

// Add makes n a member.
func (o *Ordinals) Add(n int) { o[n/64] |= 1 << (n % 64) }

// Has reports whether n is a member.
func (o *Ordinals) Has(n int) bool { return o[n/64]&(1<<(n%64)) != 0 }

// Empty reports whether there are no members.
func (o *Ordinals) Empty() bool { return *o == Ordinals{} }

// Each calls fn with the members, ascending.
func (o *Ordinals) Each(fn func(n int)) {
	for i, w := range o {
		for ; w != 0; w &= w - 1 {
			fn(64*i + bits.TrailingZeros64(w))
		}
	}
}

func (o *Ordinals) intersect(p *Ordinals) {
	for i := range o {
		o[i] &= p[i]
	}
}

func (o *Ordinals) union(p *Ordinals) {
	for i := range o {
		o[i] |= p[i]
	}
}

// The layouts of postings in a segment of n messages, by their first octet.
const (
	layoutDeltas = 1 // a uvarint for each ordinal, how many were passed over since the one before
	layoutBits   = 2 // a bit for each of the n, the first in the lowest bit of the first octet
)

// encode appends the stored form of count ordinals, given as deltas, of n: the shorter one.
func encode(dst, deltas []byte, count, n int) []byte {
	size := (n + 7) / 8
	if len(deltas) <= size {
		return append(append(dst, layoutDeltas), deltas...)
	}
	dst = append(dst, layoutBits)
	from := len(dst)
	dst = append(dst, make([]byte, size)...)
	at := -1
	for range count {
		skipped, width := binary.Uvarint(deltas)
		deltas = deltas[width:]
		at += int(skipped) + 1
		dst[from+at/8] |= 1 << (at % 8)
	}
	return dst
}

// Encode appends the stored form of the postings o in a segment of n messages.
func Encode(dst []byte, o *Ordinals, n int) []byte {
	var deltas []byte
	count, last := 0, -1
	o.Each(func(at int) {
		deltas = binary.AppendUvarint(deltas, uint64(at-last-1))
		count, last = count+1, at
	})
	return encode(dst, deltas, count, n)
}

// Decode reads the postings of a gram in a segment of n messages. Errors are ErrFormat.
func Decode(data []byte, n int) (o Ordinals, err error) {
	if len(data) < 2 || n > MaxMessages {
		return o, fmt.Errorf("postings of %d octets: %w", len(data), ErrFormat)
	}
	layout, data := data[0], data[1:]
	switch layout {
	case layoutDeltas:
		at := -1
		for len(data) > 0 {
			skipped, width := binary.Uvarint(data)
			if width <= 0 || skipped >= MaxMessages || at+int(skipped)+1 >= n {
				return o, fmt.Errorf("postings after ordinal %d of %d: %w", at, n, ErrFormat)
			}
			data = data[width:]
			at += int(skipped) + 1
			o.Add(at)
		}
		return o, nil
	case layoutBits:
		if len(data) != (n+7)/8 {
			return o, fmt.Errorf("bits of %d octets for %d messages: %w", len(data), n, ErrFormat)
		}
		for i, c := range data {
			o[i/8] |= uint64(c) << (8 * (i % 8))
		}
		if all := First(n); n%8 != 0 && o[(n-1)/64]&^all[(n-1)/64] != 0 {
			return o, fmt.Errorf("bits beyond %d messages: %w", n, ErrFormat)
		}
		return o, nil
	}
	return o, fmt.Errorf("postings of layout %d: %w", layout, ErrFormat)
}
