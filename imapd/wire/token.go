package wire

import (
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// isAtom reports whether c may be part of an atom (RFC 9051, section 9, ATOM-CHAR).
func isAtom(c byte) bool {
	switch c {
	case '(', ')', '{', ' ', '%', '*', '"', '\\', ']':
		return false
	}
	return c > ' ' && c < 0x7f
}

func isAString(c byte) bool { return isAtom(c) || c == ']' }
func isTag(c byte) bool     { return isAString(c) && c != '+' }
func isPattern(c byte) bool { return isAString(c) || c == '%' || c == '*' || c >= 0x80 }
func isDigit(c byte) bool   { return c >= '0' && c <= '9' }

// while takes octets as long as they are of a class.
func (r *Reader) while(class func(byte) bool) string {
	r.scratch = r.scratch[:0]
	for {
		c := r.peek()
		if r.err != nil {
			return ""
		}
		if !class(c) {
			return string(r.scratch)
		}
		r.scratch = append(r.scratch, c)
		r.take()
	}
}

// some is while, but of at least one octet.
func (r *Reader) some(what string, class func(byte) bool) string {
	s := r.while(class)
	if s == "" {
		r.fail("expected %s, got %s", what, printable(r.peek()))
	}
	return s
}

func (r *Reader) atom() string { return r.some("an atom", isAtom) }

// word is an atom in upper case.
func (r *Reader) word() string { return strings.ToUpper(r.atom()) }

// maybe takes c if it comes next.
func (r *Reader) maybe(c byte) bool {
	if r.peek() != c || r.err != nil {
		return false
	}
	r.take()
	return r.err == nil
}

// expect takes c, which must come next.
func (r *Reader) expect(c byte) {
	if got := r.peek(); r.err == nil && got != c {
		r.fail("expected %s, got %s", printable(c), printable(got))
		return
	}
	r.take()
}

// sp takes one space; more than one is forgiven.
func (r *Reader) sp() {
	r.expect(' ')
	for r.maybe(' ') {
	}
}

// list reads a parenthesised list, calling item for each of its members.
func (r *Reader) list(item func()) {
	r.expect('(')
	if r.depth++; r.depth > r.limits.Depth {
		r.fail("parentheses are nested deeper than %d", r.limits.Depth)
	}
	for r.maybe(' ') {
	}
	for r.err == nil && !r.maybe(')') {
		item()
		if r.err == nil && r.peek() != ')' {
			r.sp()
		}
	}
	r.depth--
}

// number reads a number of at most limit.
func (r *Reader) number(limit uint64) uint64 {
	s := r.some("a number", isDigit)
	var n uint64
	for _, c := range []byte(s) {
		d := uint64(c - '0')
		if n > (limit-d)/10 || d > limit {
			r.fail("number %.30s is too large", s)
			return 0
		}
		n = n*10 + d
	}
	return n
}

func (r *Reader) number32() uint32 { return uint32(r.number(math.MaxUint32)) }

// nzNumber32 reads a number that is not 0.
func (r *Reader) nzNumber32() uint32 {
	n := r.number32()
	if n == 0 {
		r.fail("0 is not a number here")
	}
	return n
}

// number63 reads a number64 (RFC 9051, section 9) or a mod-sequence (RFC 7162).
func (r *Reader) number63() uint64 { return r.number(math.MaxInt64) }

// quoted reads a quoted string. Octets of 0x80 and above are let through: whoever uses the string
// checks whether it is UTF-8.
func (r *Reader) quoted() string {
	r.expect('"')
	r.scratch = r.scratch[:0]
	for {
		c := r.peek()
		switch {
		case r.err != nil:
			return ""
		case c == '"':
			r.take()
			return string(r.scratch)
		case c == '\\':
			r.take()
			if c = r.peek(); c != '"' && c != '\\' {
				r.fail("only \" and \\ may be escaped")
				return ""
			}
		case c == 0:
			r.fail("NUL in a quoted string")
			return ""
		case c == '\r' || c == '\n':
			r.fail("quoted string does not end")
			return ""
		}
		r.scratch = append(r.scratch, c)
		r.take()
	}
}

// str reads a string: quoted or literal.
func (r *Reader) str() string {
	switch c := r.peek(); {
	case c == '"':
		return r.quoted()
	case c == '{':
		return r.smallLiteral()
	default:
		r.fail("expected a string, got %s", printable(c))
		return ""
	}
}

func (r *Reader) astring() string {
	if c := r.peek(); c == '"' || c == '{' {
		return r.str()
	}
	return r.some("a string", isAString)
}

// nstring reads a string or NIL, which is not ok.
func (r *Reader) nstring() (string, bool) {
	if c := r.peek(); c == '"' || c == '{' {
		return r.str(), true
	}
	if s := r.atom(); !strings.EqualFold(s, "NIL") {
		r.fail("expected a string or NIL")
	}
	return "", false
}

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
	r.eol = false
	if r.err != nil {
		return l
	}
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

// mailbox reads a mailbox name as UTF-8. INBOX in any case is INBOX.
func (r *Reader) mailbox() string { return r.decodeName(r.name()) }

func (r *Reader) name() string {
	if !r.utf8 {
		return r.astring()
	}
	if c := r.peek(); c == '"' || c == '{' {
		return r.str()
	}
	return r.some("a mailbox name", isAString)
}

func (r *Reader) decodeName(s string) string {
	if r.err != nil {
		return ""
	}
	if strings.EqualFold(s, "INBOX") {
		return "INBOX"
	}
	if r.utf8 {
		if !utf8.ValidString(s) {
			r.fail("mailbox name is not valid UTF-8")
		}
		return s
	}
	name, err := DecodeUTF7(s)
	if err != nil {
		r.fail("mailbox name: %v", err)
	}
	return name
}

// pattern reads a mailbox name with wildcards (RFC 9051, section 6.3.9).
func (r *Reader) pattern() string {
	if c := r.peek(); c == '"' || c == '{' {
		return r.decodePattern(r.str())
	}
	return r.decodePattern(r.some("a mailbox pattern", isPattern))
}

func (r *Reader) decodePattern(s string) string {
	if strings.EqualFold(s, "INBOX") {
		return "INBOX"
	}
	if r.utf8 && utf8.ValidString(s) {
		return s
	}
	p, err := DecodeUTF7(s)
	if err != nil {
		r.fail("mailbox pattern: %v", err)
	}
	return p
}
