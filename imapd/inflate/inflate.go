// Package inflate undoes DEFLATE (RFC 1951) on a connection (RFC 4978). A Decoder is fed octets as they come and
// hands out every octet that they determine before it asks for more, whichever way the peer flushes. zlib's
// partial flush, with which mutt ends what it sends, ends no block on an octet: a reader that wants the next
// block before it hands out the last, as compress/flate does, would keep a command to itself for ever.
//
// It reads no connection and does not compress.
package inflate

import (
	"errors"
	"fmt"
	"io"
)

// Errors of Read; test with errors.Is.
var (
	// ErrMore says that the octets fed so far determine no more; Feed some.
	ErrMore = errors.New("more compressed octets are needed")
	// ErrCorrupt says that the octets are not DEFLATE. It is for good.
	ErrCorrupt = errors.New("corrupt DEFLATE data")
)

// maxWindow is how far back a match may reach (RFC 1951, section 2), minWindow what is held at first,
// maxMatch the longest match.
const (
	maxWindow = 32 << 10
	minWindow = 1 << 10
	maxMatch  = 258
)

// state is what comes next in the input.
type state uint8

const (
	header state = iota
	storedLength
	stored
	codeLengths
	lengths
	symbols
	ended // the last block is over
)

// Decoder inflates one stream. Its zero value is ready for use. It holds the last octets that it gave, 32 KiB at
// most and no more than there were, and some 4 KiB besides. It is not safe for concurrent use.
type Decoder struct {
	in    []byte // fed and not taken
	bits  uint64 // taken and not used, the lowest first
	nbits uint

	state state
	last  bool  // this block is
	left  int   // octets of a stored block
	err   error // for good

	table  tables
	lit    code
	dist   code
	fixed  bool   // lit and dist are those of RFC 1951, section 3.2.6
	window []byte // a ring; its size is a power of two
	wr, rd uint64 // octets put into window ever, and given of them
}

// Feed gives the octets that follow those of former calls. They must stay as they are until Read asks for
// more; Feed is not to be called before it does.
func (d *Decoder) Feed(in []byte) { d.in = in }

// Ready reports whether Read would give an octet, or an error other than ErrMore.
func (d *Decoder) Ready() bool {
	return d.wr > d.rd || !errors.Is(d.advance(1), ErrMore)
}

// Read implements io.Reader, but for ErrMore in place of waiting. io.EOF comes after the peer's last block.
func (d *Decoder) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		var err error
		if d.wr == d.rd {
			err = d.advance(min(len(p)-n, maxWindow-maxMatch))
		}
		if d.wr == d.rd {
			if n > 0 {
				return n, nil // the error comes again
			}
			return 0, err
		}
		n += d.give(p[n:])
	}
	return n, nil
}

// give copies out what was put into the window.
func (d *Decoder) give(p []byte) int {
	size := uint64(len(d.window))
	from := d.rd & (size - 1)
	n := copy(p, d.window[from:min(size, from+d.wr-d.rd)])
	d.rd += uint64(n)
	return n
}

// advance inflates until so many octets can be given. It stops earlier only with an error, which the next call
// gives as well unless more was fed.
func (d *Decoder) advance(octets int) error {
	for d.wr-d.rd < uint64(octets) {
		err := d.err
		if err != nil {
			return err
		}
		switch d.state {
		case header:
			err = d.header()
		case storedLength:
			err = d.storedLength()
		case stored:
			err = d.stored(octets)
		case codeLengths:
			err = d.codeLengths()
		case lengths:
			err = d.lengths()
		case symbols:
			err = d.symbols(octets)
		default:
			err = io.EOF
		}
		if errors.Is(err, ErrMore) {
			d.in = nil // its memory is of no more use
			return err
		}
		d.err = err
	}
	return nil
}

// have reports whether n bits, 56 at most, are there, and takes octets for them.
func (d *Decoder) have(n uint) bool {
	for d.nbits < n && len(d.in) > 0 {
		d.bits |= uint64(d.in[0]) << d.nbits
		d.in = d.in[1:]
		d.nbits += 8
	}
	return d.nbits >= n
}

// use uses up n bits, which are there.
func (d *Decoder) use(n uint) uint {
	v := d.bits & (1<<n - 1)
	d.bits >>= n
	d.nbits -= n
	return uint(v)
}

// header begins a block (RFC 1951, section 3.2.3).
func (d *Decoder) header() error {
	if !d.have(3) {
		return ErrMore
	}
	d.last = d.use(1) == 1
	switch d.use(2) {
	case 0:
		d.state = storedLength
	case 1:
		d.useFixed()
		d.state = symbols
	case 2:
		d.state = codeLengths
		d.table = tables{}
	default:
		return d.corrupt("a block of an unknown type")
	}
	return nil
}

// end ends a block.
func (d *Decoder) end() {
	d.state = header
	if d.last {
		d.state = ended
	}
}

// storedLength reads how long a stored block is (section 3.2.4).
func (d *Decoder) storedLength() error {
	odd := d.nbits % 8
	if !d.have(odd + 32) {
		return ErrMore
	}
	d.use(odd)
	n, inverted := d.use(16), d.use(16)
	if n != ^inverted&0xffff {
		return d.corrupt("a stored block of two lengths")
	}
	d.left, d.state = int(n), stored
	if n == 0 {
		d.end()
	}
	return nil
}

// stored copies from a stored block until so many octets can be given.
func (d *Decoder) stored(octets int) error {
	for d.left > 0 {
		if d.wr-d.rd >= uint64(octets) {
			return nil
		}
		if !d.have(8) {
			return ErrMore
		}
		d.put(byte(d.use(8)))
		d.left--
	}
	d.end()
	return nil
}

func (d *Decoder) corrupt(what string) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, what)
}

// put puts an octet into the window.
//
// Invariant: fewer than maxWindow octets are in it that were not given.
func (d *Decoder) put(b byte) {
	if d.wr == uint64(len(d.window)) && len(d.window) < maxWindow {
		d.window = append(d.window, make([]byte, max(len(d.window), minWindow))...)
	}
	d.window[d.wr&uint64(len(d.window)-1)] = b
	d.wr++
}

// repeat puts a match: octets from so far back.
func (d *Decoder) repeat(length, back uint64) error {
	if back > d.wr || back > maxWindow {
		return d.corrupt("a match from before the beginning")
	}
	for range length {
		d.put(d.window[(d.wr-back)&uint64(len(d.window)-1)])
	}
	return nil
}
