package message

// keeper copies what is kept of a message into few allocations and counts it against the budgets of
// Limits.
type keeper struct {
	slab      []byte
	envelope  int // octets left for envelopes
	structure int // octets left for Content fields
}

// overhead is what an address or a parameter is charged beside its octets: about the tags and lengths
// of its encoding, so that a million empty ones are not free.
const overhead = 8

// fits charges n octets to a budget, or tells that there is no room.
func fits(budget *int, n int) bool {
	if n > *budget {
		*budget = 0 // a hole in a list would be worse than its end
		return false
	}
	*budget -= n
	return true
}

// copy gives a copy of b that lives as long as Parsed does; it is never nil.
func (k *keeper) copy(b []byte) []byte {
	if k.slab == nil || len(b) > cap(k.slab)-len(k.slab) {
		if len(b) > 512 {
			return append(make([]byte, 0, len(b)), b...)
		}
		k.slab = make([]byte, 0, 1024)
	}
	start := len(k.slab)
	k.slab = append(k.slab, b...)
	return k.slab[start:len(k.slab):len(k.slab)]
}

// lower is copy in ASCII lower case.
func (k *keeper) lower(b []byte) []byte {
	c := k.copy(b)
	for i, x := range c {
		if 'A' <= x && x <= 'Z' {
			c[i] = x + 'a' - 'A'
		}
	}
	return c
}

// text is copy against the envelope budget; nil where it does not fit.
func (k *keeper) text(b []byte) []byte {
	if !fits(&k.envelope, len(b)) {
		return nil
	}
	return k.copy(b)
}

// detail is copy against the structure budget; nil where it does not fit.
func (k *keeper) detail(b []byte) []byte {
	if !fits(&k.structure, len(b)) {
		return nil
	}
	return k.copy(b)
}
