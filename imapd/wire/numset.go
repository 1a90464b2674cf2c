package wire

import "strconv"

// Star stands for "*", the highest number in use.
const Star uint32 = 0

// NumRange is Lo..Hi, both included, Lo not above Hi. "*" is Star as Hi, or as both.
type NumRange struct{ Lo, Hi uint32 }

// NumSet is a set of message numbers or UIDs as a command gives it (RFC 9051, section 9,
// sequence-set), in the order given.
type NumSet struct {
	Ranges []NumRange
	Saved  bool // "$": the result that SEARCH saved (RFC 5182); there are no Ranges
}

// numSet reads a sequence-set.
func (r *Reader) numSet() NumSet {
	if r.maybe('$') {
		return NumSet{Saved: true}
	}
	var set NumSet
	for {
		set.Ranges = append(set.Ranges, r.numRange())
		if r.err != nil || !r.maybe(',') {
			return set
		}
	}
}

func (r *Reader) numRange() NumRange {
	lo := r.setNumber()
	hi := lo
	if r.maybe(':') {
		hi = r.setNumber()
	}
	if hi != Star && (lo == Star || lo > hi) {
		lo, hi = hi, lo
	}
	return NumRange{Lo: lo, Hi: hi}
}

func (r *Reader) setNumber() uint32 {
	if r.maybe('*') {
		return Star
	}
	return r.nzNumber32()
}

// Append appends the set as a command would give it.
func (s NumSet) Append(b []byte) []byte {
	if s.Saved {
		return append(b, '$')
	}
	for i, rg := range s.Ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendSetNumber(b, rg.Lo)
		if rg.Hi != rg.Lo {
			b = append(b, ':')
			b = appendSetNumber(b, rg.Hi)
		}
	}
	return b
}

func appendSetNumber(b []byte, n uint32) []byte {
	if n == Star {
		return append(b, '*')
	}
	return strconv.AppendUint(b, uint64(n), 10)
}

// Resolve gives the ranges with "*" replaced by highest, each Lo not above Hi. In an empty mailbox
// (highest 0) a range with "*" is nothing.
func (s NumSet) Resolve(highest uint32) []NumRange {
	out := make([]NumRange, 0, len(s.Ranges))
	for _, rg := range s.Ranges {
		if rg.Hi == Star {
			if highest == 0 {
				continue
			}
			if rg.Lo == Star {
				rg.Lo = highest
			}
			rg = NumRange{Lo: min(rg.Lo, highest), Hi: max(rg.Lo, highest)}
		}
		out = append(out, rg)
	}
	return out
}

// Max is the highest number that is written out in the set, 0 where there is none.
func (s NumSet) Max() uint32 {
	var m uint32
	for _, rg := range s.Ranges {
		m = max(m, rg.Lo, rg.Hi)
	}
	return m
}
