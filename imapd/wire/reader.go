package wire

import (
	"fmt"
	"io"
)

// bufferSize is the size of the buffer on each side of a connection.
const bufferSize = 4 << 10

// Reader reads commands from a connection. It is not safe for concurrent use. Errors stick to the
// command being read: after one, every token is empty until the next command.
type Reader struct {
	src    io.Reader
	buf    []byte // nil while nothing is buffered and the session waits
	r, w   int
	limits Limits
	more   func() error // asks the peer to go on with a synchronising literal

	utf8 bool // mailbox names are UTF-8, not modified UTF-7

	// Of the command being read:
	err     error
	eol     bool   // its last line end was read
	taken   int    // octets of its lines
	kept    int64  // octets of its literals
	pending int64  // octets of a refused non-synchronising literal, still to be dropped
	depth   int    // parentheses open
	scratch []byte // a token being read
}

// NewReader reads from src. more is called before a synchronising literal is read; it sends a
// continuation request (RFC 9051, section 7.6).
func NewReader(src io.Reader, limits Limits, more func() error) *Reader {
	return &Reader{src: src, limits: limits, more: more}
}

// SetUTF8 says how mailbox names come in: as UTF-8 (after ENABLE IMAP4rev2 or UTF8=ACCEPT) or as
// modified UTF-7 (RFC 3501, section 5.1.3).
func (r *Reader) SetUTF8(on bool) { r.utf8 = on }

// Buffered is the number of octets that were read from the connection but not used yet.
func (r *Reader) Buffered() int { return r.w - r.r }

// Unread hands over the octets that were read from the connection but not used, and forgets them.
func (r *Reader) Unread() []byte {
	rest := r.buf[r.r:r.w]
	r.buf, r.r, r.w = nil, 0, 0
	return rest
}

// Await blocks until the next octet is there. It holds no buffer while it waits.
func (r *Reader) Await() error {
	if r.Buffered() > 0 {
		return nil
	}
	r.buf, r.scratch = nil, nil
	r.r, r.w = 0, 0
	var one [1]byte
	for {
		n, err := r.src.Read(one[:])
		if n == 1 {
			r.buf = make([]byte, bufferSize)
			r.buf[0], r.w = one[0], 1
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fill reads more into an empty buffer.
func (r *Reader) fill() error {
	if r.buf == nil {
		r.buf = make([]byte, bufferSize)
	}
	for range 100 {
		n, err := r.src.Read(r.buf)
		if n > 0 {
			r.r, r.w = 0, n
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// Read reads the octets of an accepted literal; see Literal. It implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.Buffered() == 0 {
		if len(p) >= bufferSize {
			return r.src.Read(p)
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.r:r.w])
	r.r += n
	return n, nil
}

// fail makes the command wrong, unless it is already.
func (r *Reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = &SyntaxError{Text: fmt.Sprintf(format, args...)}
	}
}

// peek gives the next octet of the line without taking it, 0 after an error.
func (r *Reader) peek() byte {
	if r.err != nil {
		return 0
	}
	if r.r == r.w {
		if err := r.fill(); err != nil {
			r.err = err
			return 0
		}
	}
	return r.buf[r.r]
}

// take takes the octet that peek gave.
func (r *Reader) take() {
	if r.err != nil {
		return
	}
	if r.taken++; r.taken > r.limits.Line {
		r.fail("line is longer than %d octets", r.limits.Line)
		return
	}
	r.r++
}

// reset begins a new command.
func (r *Reader) reset() {
	r.err, r.eol, r.taken, r.kept, r.pending, r.depth = nil, false, 0, 0, 0, 0
}

// crlf takes the line end. A lone LF is taken for one.
func (r *Reader) crlf() {
	c := r.peek()
	if c == '\r' {
		r.take()
		if c = r.peek(); c != '\n' {
			r.fail("CR without LF")
			return
		}
	}
	if r.err == nil && c != '\n' {
		r.fail("expected %s, got %s", printable('\n'), printable(c))
		return
	}
	r.take()
	if r.err == nil {
		r.eol = true
	}
}

// skip drops the rest of a wrong command: its line, and what non-synchronising literals announce.
func (r *Reader) skip() error {
	budget := r.limits.Drain
	for {
		if r.pending > 0 {
			if r.pending > budget {
				return ErrOutOfSync
			}
			budget -= r.pending
			if _, err := io.CopyN(io.Discard, r, r.pending); err != nil {
				return err
			}
			r.pending = 0
		} else if r.eol {
			return nil
		}
		tail, err := r.skipLine(&budget)
		if err != nil {
			return err
		}
		r.eol = true
		n, found, ok := trailingLiteral(tail)
		if !ok {
			return ErrOutOfSync
		}
		if !found {
			return nil
		}
		if r.pending = n; n == 0 {
			r.eol = false
		}
	}
}

// skipLine drops octets up to the line end and returns the last few before it.
func (r *Reader) skipLine(budget *int64) ([]byte, error) {
	var tail []byte
	for {
		if r.r == r.w {
			if err := r.fill(); err != nil {
				return nil, err
			}
		}
		c := r.buf[r.r]
		r.r++
		if *budget--; *budget < 0 {
			return nil, ErrOutOfSync
		}
		if c == '\n' {
			return tail, nil
		}
		if tail = append(tail, c); len(tail) >= 128 {
			tail = append(tail[:0], tail[64:]...)
		}
	}
}

// trailingLiteral finds a non-synchronising literal's announcement at the end of a line. It is not ok
// when the number is beyond any that is worth reading.
func trailingLiteral(line []byte) (size int64, found, ok bool) {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	n := len(line)
	if n < 4 || line[n-1] != '}' || line[n-2] != '+' {
		return 0, false, true
	}
	line = line[:n-2]
	start := len(line)
	for start > 0 && line[start-1] >= '0' && line[start-1] <= '9' {
		start--
	}
	if start == 0 || line[start-1] != '{' || start == len(line) {
		return 0, false, len(line)-start < 64
	}
	for _, c := range line[start:] {
		if size = size*10 + int64(c-'0'); size > 1<<40 {
			return 0, false, false
		}
	}
	return size, true, true
}

func printable(c byte) string {
	switch c {
	case ' ':
		return "a space"
	case '\r', '\n':
		return "the end of the line"
	}
	if c > ' ' && c < 0x7f {
		return string(rune(c))
	}
	return fmt.Sprintf("octet 0x%02x", c)
}
