package inflate

import (
	"fmt"
	"math/bits"
)

// maxBits is the length of the longest code, fastBits of the longest that one look decodes.
const (
	maxBits  = 15
	fastBits = 9
)

// code is a prefix code (RFC 1951, section 3.2.2).
type code struct {
	fast    [1 << fastBits]uint16 // by the next bits: symbol<<4 | length; 0 where the code is longer
	count   [maxBits + 1]uint16   // of codes, by length
	symbols [maxLit + 2]uint16    // in the order of their codes
}

// build makes the code whose symbols have these lengths, 0 being none. It is not ok where they are too many, or
// too few to use up all codes; a code of one symbol and one of none may be.
func (c *code) build(lengths []uint8) bool {
	*c = code{}
	longest := uint8(0)
	for _, n := range lengths {
		c.count[n]++
		longest = max(longest, n)
	}
	c.count[0] = 0
	left := 1
	var at [maxBits + 2]uint16 // of the next symbol of a length
	for n := 1; n <= maxBits; n++ {
		if left = left<<1 - int(c.count[n]); left < 0 {
			return false
		}
		at[n+1] = at[n] + c.count[n]
	}
	if left > 0 && longest > 1 {
		return false
	}
	var next [maxBits + 2]uint16 // code of a length
	for n := 1; n <= maxBits; n++ {
		next[n+1] = (next[n] + c.count[n]) << 1
	}
	for sym, n := range lengths {
		if n == 0 {
			continue
		}
		c.symbols[at[n]] = uint16(sym)
		at[n]++
		if n <= fastBits {
			for i := int(bits.Reverse16(next[n]) >> (16 - n)); i < len(c.fast); i += 1 << n {
				c.fast[i] = uint16(sym)<<4 | uint16(n)
			}
		}
		next[n]++
	}
	return true
}

// decode gives the symbol that the lowest of the bits are the code of, and how many those are.
func (c *code) decode(b uint64, have uint) (sym int, n uint, err error) {
	if e := c.fast[b&(1<<fastBits-1)]; e != 0 {
		if n = uint(e & 15); n > have {
			return 0, 0, ErrMore
		}
		return int(e >> 4), n, nil
	}
	at, first, value := 0, 0, 0
	for n = 1; n <= maxBits; n++ {
		if n > have {
			return 0, 0, ErrMore
		}
		value |= int(b & 1)
		b >>= 1
		count := int(c.count[n])
		if value-count < first {
			return int(c.symbols[at+value-first]), n, nil
		}
		at += count
		first = (first + count) << 1
		value <<= 1
	}
	return 0, 0, fmt.Errorf("%w: a code that there is not", ErrCorrupt)
}
