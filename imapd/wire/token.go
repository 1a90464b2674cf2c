package wire

import (
	"math"
	"strings"
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
