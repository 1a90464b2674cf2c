package inflate

// tables is the head of a block that brings its codes along (RFC 1951, section 3.2.7), as far as it was read.
type tables struct {
	nlit, ndist, ncode int // lengths of each code; 0 before they were read
	read               int // lengths
	lengths            [maxLit + maxDist]uint8
}

// The most symbols of each code.
const (
	maxLit  = 286
	maxDist = 30
	maxCode = 19
)

// codeOrder is the order of the lengths of the code for lengths.
const codeOrder = "\x10\x11\x12\x00\x08\x07\x09\x06\x0a\x05\x0b\x04\x0c\x03\x0d\x02\x0e\x01\x0f"

// codeLengths reads how many lengths there are, and the code for them, into d.dist.
func (d *Decoder) codeLengths() error {
	t := &d.table
	if t.nlit == 0 {
		if !d.have(14) {
			return ErrMore
		}
		t.nlit, t.ndist, t.ncode = 257+int(d.use(5)), 1+int(d.use(5)), 4+int(d.use(4))
		if t.nlit > maxLit || t.ndist > maxDist {
			return d.corrupt("too many codes")
		}
	}
	for ; t.read < t.ncode; t.read++ {
		if !d.have(3) {
			return ErrMore
		}
		t.lengths[codeOrder[t.read]] = uint8(d.use(3))
	}
	d.fixed = false
	if !d.dist.build(t.lengths[:maxCode]) {
		return d.corrupt("the code for lengths")
	}
	t.read, t.lengths = 0, [maxLit + maxDist]uint8{}
	d.state = lengths
	return nil
}

// lengths reads the lengths of both codes.
func (d *Decoder) lengths() error {
	t := &d.table
	for t.read < t.nlit+t.ndist {
		d.have(14)
		sym, n, err := d.dist.decode(d.bits, d.nbits)
		if err != nil {
			return err
		}
		if sym < 16 {
			d.use(n)
			t.lengths[t.read] = uint8(sym)
			t.read++
			continue
		}
		if err := d.repeatLength(sym, n); err != nil {
			return err
		}
	}
	if !d.lit.build(t.lengths[:t.nlit]) || !d.dist.build(t.lengths[t.nlit:t.nlit+t.ndist]) {
		return d.corrupt("the codes of a block")
	}
	d.state = symbols
	return nil
}

// repeatLength reads a length that is repeated; its symbol has n bits.
func (d *Decoder) repeatLength(sym int, n uint) error {
	t := &d.table
	extra, times := uint(2), 3
	switch sym {
	case 17:
		extra = 3
	case 18:
		extra, times = 7, 11
	}
	if !d.have(n + extra) {
		return ErrMore
	}
	d.use(n)
	times += int(d.use(extra))
	var length uint8
	if sym == 16 {
		if t.read == 0 {
			return d.corrupt("a repeated length without one before")
		}
		length = t.lengths[t.read-1]
	}
	if t.read+times > t.nlit+t.ndist {
		return d.corrupt("too many lengths")
	}
	for range times {
		t.lengths[t.read] = length
		t.read++
	}
	return nil
}

// useFixed takes the codes of section 3.2.6.
func (d *Decoder) useFixed() {
	if d.fixed {
		return
	}
	var lengths [maxLit + 2]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	d.lit.build(lengths[:])
	for i := range 32 {
		lengths[i] = 5
	}
	d.dist.build(lengths[:32])
	d.fixed = true
}

// symbols inflates until so many octets can be given, or the block ends (section 3.2.5). A match is taken with all
// of its bits or not at all.
func (d *Decoder) symbols(octets int) error {
	for d.wr-d.rd < uint64(octets) {
		d.have(56)
		sym, n, err := d.lit.decode(d.bits, d.nbits)
		switch {
		case err != nil:
			return err
		case sym < 256:
			d.use(n)
			d.put(byte(sym))
			continue
		case sym == 256:
			d.use(n)
			d.end()
			return nil
		}
		if err := d.match(uint(sym-257), n); err != nil {
			return err
		}
	}
	return nil
}

// match takes a match, whose length's symbol has used bits.
func (d *Decoder) match(sym, used uint) error {
	if sym > 28 {
		return d.corrupt("an unknown length")
	}
	extra, length := uint(0), 3+sym
	switch {
	case sym == 28:
		length = maxMatch
	case sym >= 8:
		extra = sym/4 - 1
		length = (4+sym%4)<<extra + 3
	}
	length += uint(d.bits>>used) & (1<<extra - 1)
	if used += extra; used > d.nbits {
		return ErrMore
	}
	dsym, n, err := d.dist.decode(d.bits>>used, d.nbits-used)
	if err != nil {
		return err
	}
	if dsym >= maxDist {
		return d.corrupt("an unknown distance")
	}
	used += n
	extra = 0
	back := 1 + uint(dsym)
	if dsym >= 4 {
		extra = uint(dsym)/2 - 1
		back = (2+uint(dsym)%2)<<extra + 1
	}
	back += uint(d.bits>>used) & (1<<extra - 1)
	if used += extra; used > d.nbits {
		return ErrMore
	}
	d.use(used)
	return d.repeat(uint64(length), uint64(back))
}
