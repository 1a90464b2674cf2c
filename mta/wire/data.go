package wire

import (
	"bufio"
	"io"
)

// Data reads the message behind DATA up to its end, with the dots that the sender doubled taken off
// (RFC 5321, section 4.5.2). Line ends are passed on as they are; see LineEnds.
type Data struct {
	r       *bufio.Reader
	rest    []byte // of the last line, still in r's buffer
	inLine  bool   // the last octets read did not end with CR LF
	afterCR bool   // the last octet read was CR, and no whole line
	err     error
}

// NewData starts to read a message. The buffer of r holds at least 16 octets, as all of bufio do.
func NewData(r *bufio.Reader) *Data { return &Data{r: r} }

// Read gives more of the message. io.EOF comes at its end only; a connection that ends before gives
// io.ErrUnexpectedEOF.
func (d *Data) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(d.rest) == 0 {
			// What is there is passed on before waiting for more.
			if n > 0 && d.r.Buffered() == 0 {
				return n, nil
			}
			if d.next(); d.err != nil {
				return n, d.err
			}
		}
		k := copy(p[n:], d.rest)
		d.rest = d.rest[k:]
		n += k
	}
	return n, nil
}

// next reads a line, or as much of it as the buffer holds. A line that starts with a dot is never cut
// before its fourth octet, so the end of the message is always seen whole.
func (d *Data) next() {
	if d.err != nil {
		return
	}
	part, err := d.r.ReadSlice('\n')
	if err != nil && err != bufio.ErrBufferFull {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		d.err = err
		return
	}
	whole := err == nil
	crlf := whole && (len(part) >= 2 && part[len(part)-2] == '\r' || len(part) == 1 && d.afterCR)
	d.afterCR = !whole && part[len(part)-1] == '\r'
	d.rest = part
	if !d.inLine && part[0] == '.' {
		if crlf && len(part) == 3 {
			d.rest, d.err = nil, io.EOF
			return
		}
		d.rest = part[1:]
	}
	d.inLine = !crlf
}

// Chunk reads the n octets of a BDAT chunk (RFC 3030, section 2). A connection that ends before gives
// io.ErrUnexpectedEOF: half a message must never look like a whole one.
type Chunk struct {
	r    *bufio.Reader
	left int64
}

// NewChunk starts to read a chunk of n octets.
func NewChunk(r *bufio.Reader, n int64) *Chunk { return &Chunk{r: r, left: n} }

// Read gives more of the chunk, and io.EOF at its end.
func (c *Chunk) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
