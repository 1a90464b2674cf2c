package wire

import (
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"
)

// largeBuffer is the size of the buffer while a large literal or many answers are written.
const largeBuffer = 32 << 10

// Writer writes responses to a connection, buffered. Its methods do not return errors: the first one
// sticks, and Flush returns it. It is not safe for concurrent use.
type Writer struct {
	dst  io.Writer
	buf  []byte // nil while nothing is buffered
	err  error
	utf8 bool
}

// NewWriter writes to dst.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// SetUTF8 says whether quoted strings and mailbox names may be UTF-8 (after ENABLE IMAP4rev2 or
// UTF8=ACCEPT).
func (w *Writer) SetUTF8(on bool) { w.utf8 = on }

// Err is the first error of the connection, or nil.
func (w *Writer) Err() error { return w.err }

// Break makes err the connection's: what was begun cannot be ended, so nothing more may be written.
func (w *Writer) Break(err error) {
	if w.err == nil {
		_ = w.Flush() // err matters more
		w.err = err
	}
}

// Flush sends what is buffered and returns the first error of the connection.
func (w *Writer) Flush() error {
	if len(w.buf) > 0 && w.err == nil {
		_, w.err = w.dst.Write(w.buf)
	}
	w.buf = w.buf[:0]
	return w.err
}

// Release gives up the empty buffer until something is written again.
func (w *Writer) Release() {
	if len(w.buf) == 0 {
		w.buf = nil
	}
}

// Bulk prepares for much to be written: until the next Release the buffer is a large one, so that each
// write to the connection fills TLS records.
func (w *Writer) Bulk() {
	if cap(w.buf) < largeBuffer {
		_ = w.Flush() // the error sticks
		w.buf = make([]byte, 0, largeBuffer)
	}
}

// room makes sure that n octets fit in the buffer, if n is not above bufferSize.
func (w *Writer) room(n int) {
	if cap(w.buf)-len(w.buf) >= n {
		return
	}
	if len(w.buf) > 0 {
		_ = w.Flush() // the error sticks
	}
	if cap(w.buf) < n {
		w.buf = make([]byte, 0, max(n, bufferSize))
	}
}

// Raw writes s as it is.
func (w *Writer) Raw(s string) {
	for len(s) > 0 {
		w.room(min(len(s), 512))
		n := min(len(s), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, s[:n]...)
		s = s[n:]
	}
}

// Bytes writes b as it is.
func (w *Writer) Bytes(b []byte) {
	for len(b) > 0 {
		w.room(min(len(b), 512))
		n := min(len(b), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, b[:n]...)
		b = b[n:]
	}
}

// Byte writes one octet.
func (w *Writer) Byte(c byte) {
	w.room(1)
	w.buf = append(w.buf, c)
}

// CRLF ends a line.
func (w *Writer) CRLF() { w.Raw("\r\n") }

// Num writes a number.
func (w *Writer) Num(n uint64) {
	w.room(20)
	w.buf = strconv.AppendUint(w.buf, n, 10)
}

// DateTime writes t as a quoted date-time in UTC.
func (w *Writer) DateTime(t time.Time) {
	w.room(40)
	w.buf = AppendDateTime(w.buf, t.UTC())
}

// maxQuoted is the longest string that is quoted rather than sent as a literal.
const maxQuoted = 1 << 10

// quotable says how s can be written: quoted, and if so whether something must be escaped.
func (w *Writer) quotable(s []byte) (ok, escape bool) {
	if len(s) > maxQuoted {
		return false, false
	}
	high := false
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			escape = true
		case c >= 0x80:
			high = true
		case c == 0 || c == '\r' || c == '\n':
			return false, false
		}
	}
	return !high || w.utf8 && utf8.Valid(s), escape
}

// String writes b as a string: quoted where it can be, else as a literal. NUL, which neither may
// hold, becomes a space.
func (w *Writer) String(b []byte) {
	ok, escape := w.quotable(b)
	if !ok {
		w.LiteralHead(int64(len(b)), false)
		for _, c := range b {
			if c == 0 {
				c = ' '
			}
			w.Byte(c)
		}
		return
	}
	w.Byte('"')
	if !escape {
		w.Bytes(b)
	} else {
		for _, c := range b {
			if c == '"' || c == '\\' {
				w.Byte('\\')
			}
			w.Byte(c)
		}
	}
	w.Byte('"')
}

// NString writes b as a string, or NIL where b is nil.
func (w *Writer) NString(b []byte) {
	if b == nil {
		w.Raw("NIL")
		return
	}
	w.String(b)
}

// LiteralHead announces n octets, which must follow.
func (w *Writer) LiteralHead(n int64, binary bool) {
	if binary {
		w.Byte('~')
	}
	w.Byte('{')
	w.Num(uint64(n))
	w.Raw("}\r\n")
}

// Copy writes exactly n octets of src. An error of src spoils the response: the connection has to
// be closed, and Flush says so as well.
func (w *Writer) Copy(src io.Reader, n int64) error {
	if n > 4*bufferSize && cap(w.buf) < largeBuffer {
		_ = w.Flush() // the error sticks
		w.buf = make([]byte, 0, largeBuffer)
		defer func() {
			if w.Flush() == nil {
				w.buf = nil
			}
		}()
	}
	for n > 0 && w.err == nil {
		w.room(512)
		free := w.buf[len(w.buf):cap(w.buf)]
		if int64(len(free)) > n {
			free = free[:n]
		}
		got, err := src.Read(free)
		w.buf = w.buf[:len(w.buf)+got]
		n -= int64(got)
		if err != nil && n > 0 {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			w.Break(fmt.Errorf("read a literal with %d octets to go: %w", n, err))
		}
	}
	return w.err
}

// MailboxName writes a UTF-8 mailbox name as an astring, in modified UTF-7 unless UTF-8 is on.
func (w *Writer) MailboxName(name string) {
	if !w.utf8 {
		name = EncodeUTF7(name)
	}
	atom := name != ""
	for i := range len(name) {
		atom = atom && isAtom(name[i]) && name[i] < 0x80
	}
	if atom && !isNIL(name) {
		w.Raw(name)
		return
	}
	w.String([]byte(name))
}

func isNIL(s string) bool {
	return len(s) == 3 && s[0]|0x20 == 'n' && s[1]|0x20 == 'i' && s[2]|0x20 == 'l'
}

// Section writes a section with its brackets.
func (w *Writer) Section(s Section) {
	w.Bytes(s.Append(nil))
}

// NumSet writes a set of numbers, ranges ascending and not touching.
func (w *Writer) NumSet(ranges func(yield func(lo, hi uint32) bool)) {
	first := true
	ranges(func(lo, hi uint32) bool {
		if !first {
			w.Byte(',')
		}
		first = false
		w.Num(uint64(lo))
		if hi != lo {
			w.Byte(':')
			w.Num(uint64(hi))
		}
		return true
	})
}
