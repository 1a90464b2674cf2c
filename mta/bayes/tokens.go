package bayes

import (
	"crypto/sha256"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Tokens are what a message is known by, each once, in the order in which they were found.
type Tokens struct {
	ids  []uint64
	ends []uint32 // of their texts
	text []byte   // all texts, one behind the other
}

// Len is how many there are, up to MaxTokens.
func (t *Tokens) Len() int { return len(t.ids) }

// ID is the number of the i-th: the XXH64 hash, with seed 0, of its text. It is stored; it is never 0.
func (t *Tokens) ID(i int) uint64 { return t.ids[i] }

// Text is the i-th as it was read.
func (t *Tokens) Text(i int) string {
	from := uint32(0)
	if i > 0 {
		from = t.ends[i-1]
	}
	return string(t.text[from:t.ends[i]])
}

// Sorted gives the numbers in ascending order, as models are learnt from.
func (t *Tokens) Sorted() []uint64 { return slices.Sorted(slices.Values(t.ids)) }

// KeySize is the length of a Key in octets.
const KeySize = 16

// Key names a message that was learnt from, wherever it lies and however often it was copied.
type Key [KeySize]byte

// KeyOf is the key of a message: the start of the SHA-256 of its octets, of which only MaxOctets count, and no CR, so that
// a copy in a file with other line ends is the same message.
func KeyOf(octets []byte) (k Key) {
	octets = octets[:min(len(octets), MaxOctets)]
	plain := make([]byte, 0, len(octets))
	for _, c := range octets {
		if c != '\r' {
			plain = append(plain, c)
		}
	}
	sum := sha256.Sum256(plain)
	copy(k[:], sum[:])
	return k
}

// slots is the size of a collector's table, a power of two at least twice MaxTokens.
const slots = 2 * MaxTokens

// collector makes Tokens.
//
// Invariant: seen has the place of each of t.ids, from 1 on, at the first free slot from its low bits on; 0 is free.
type collector struct {
	t    Tokens
	most int // how many there may be for now
	seen [slots]uint16
}

// newCollector begins the Tokens of a message of so many octets. Its room is a guess by that: a token of eight octets or so.
func newCollector(size int) collector {
	room := min(size/8+16, MaxTokens)
	return collector{t: Tokens{ids: make([]uint64, 0, room), ends: make([]uint32, 0, room), text: make([]byte, 0, 12*room)}, most: MaxTokens}
}

func (c *collector) full() bool { return len(c.t.ids) >= c.most }

// allow lets n more tokens be added, as far as there is room at all.
func (c *collector) allow(n int) { c.most = min(len(c.t.ids)+n, MaxTokens) }

// left is how many more there may be.
func (c *collector) left() int { return MaxTokens - len(c.t.ids) }

// add adds a token of two texts, where it is new and there is room.
func (c *collector) add(prefix string, word []byte) {
	if c.full() {
		return
	}
	c.keep(append(append(c.t.text, prefix...), word...))
}

// addText is add of a text.
func (c *collector) addText(prefix, word string) {
	if c.full() {
		return
	}
	c.keep(append(append(c.t.text, prefix...), word...))
}

// keep takes the texts so far with another behind them, of a token that there is room for. One that is there already goes.
func (c *collector) keep(text []byte) {
	from := len(c.t.text)
	id := max(xxhash.Sum64(text[from:]), 1)
	for at := id % slots; ; at = (at + 1) % slots {
		n := c.seen[at]
		if n == 0 {
			c.t.text, c.t.ids, c.t.ends = text, append(c.t.ids, id), append(c.t.ends, uint32(len(text)))
			c.seen[at] = uint16(len(c.t.ids))
			return
		}
		if c.t.ids[n-1] == id {
			c.t.text = text[:from]
			return
		}
	}
}
