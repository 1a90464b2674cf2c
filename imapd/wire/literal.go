package wire

import (
	"io"
	"strings"
)

// Literal announces octets that follow the line (RFC 9051, section 4.3).
type Literal struct {
	Size    int64
	NonSync bool // the octets come without being asked for (RFC 7888)
	Binary  bool // literal8: may hold NUL (RFC 9051, section 4.3)
}

// literalHead reads the announcement with its line end.
func (r *Reader) literalHead() Literal {
	var l Literal
	l.Binary = r.maybe('~')
	r.expect('{')
	digits := r.some("a number", isDigit)
	l.NonSync = r.maybe('+')
	r.expect('}')
	r.crlf()
	if r.err != nil {
		return l
	}
	r.eol = false
	for _, c := range []byte(digits) {
		if l.Size = l.Size*10 + int64(c-'0'); l.Size > 1<<40 {
			r.eol = !l.NonSync
			r.err = ErrOutOfSync
			if !l.NonSync {
				r.err = &SyntaxError{Text: "literal is too large", TooBig: true}
			}
			return l
		}
	}
	return l
}

// refuse gives up a literal: its octets will be skipped if they come unasked.
func (r *Reader) refuse(l Literal) {
	if l.NonSync {
		r.pending = l.Size
		return
	}
	r.eol = true
}

// smallLiteral reads a literal into memory.
func (r *Reader) smallLiteral() string {
	l := r.literalHead()
	if r.err != nil {
		return ""
	}
	if r.kept += l.Size; r.kept > r.limits.Literal {
		r.refuse(l)
		r.err = &SyntaxError{Text: "literal is too large", TooBig: true}
		return ""
	}
	if !l.NonSync {
		if r.err = r.more(); r.err != nil {
			return ""
		}
	}
	b := make([]byte, l.Size)
	if _, err := io.ReadFull(r, b); err != nil {
		r.err = err
		return ""
	}
	s := string(b)
	if !l.Binary && strings.IndexByte(s, 0) >= 0 {
		r.fail("NUL in a literal")
	}
	return s
}
