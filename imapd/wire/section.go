package wire

import (
	"math"
	"strconv"
	"strings"
)

// Specifier says which of a part a section means.
type Specifier int

// The specifiers (RFC 9051, section 6.4.5.1).
const (
	Whole Specifier = iota
	Header
	HeaderFields
	HeaderFieldsNot
	Text
	MIME
)

// Section names octets of a message: BODY[1.2.HEADER.FIELDS (SUBJECT)].
type Section struct {
	Part      []int
	Specifier Specifier
	Fields    []string // of HeaderFields and HeaderFieldsNot, as given
}

// maxSectionDepth bounds the part numbers of a section.
const maxSectionDepth = 128

// sectionItem reads [section]<offset.count>.
func (r *Reader) sectionItem(kind FetchKind, peek bool) FetchItem {
	item := FetchItem{Kind: kind, Peek: peek}
	r.expect('[')
	if r.peek() != ']' {
		r.section(&item.Section, kind == FetchSection)
	}
	r.expect(']')
	if kind != FetchBinarySize && r.maybe('<') {
		item.Partial = true
		item.Offset = r.number63()
		r.expect('.')
		if item.Count = r.number63(); item.Count == 0 {
			r.fail("a part of no octets")
		}
		r.expect('>')
	}
	return item
}

func (r *Reader) section(s *Section, text bool) {
	for isDigit(r.peek()) {
		if len(s.Part) >= maxSectionDepth {
			r.fail("section is deeper than %d", maxSectionDepth)
			return
		}
		n := r.nzNumber32()
		s.Part = append(s.Part, int(min(n, math.MaxInt32)))
		if !r.maybe('.') {
			return
		}
	}
	if !text {
		r.fail("expected a part number")
		return
	}
	switch w := strings.ToUpper(r.some("a section", func(c byte) bool { return isAtom(c) && c != '[' })); w {
	case "HEADER":
		s.Specifier = Header
	case "TEXT":
		s.Specifier = Text
	case "MIME":
		if s.Specifier = MIME; len(s.Part) == 0 {
			r.fail("MIME needs a part number")
		}
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		s.Specifier = HeaderFields
		if w == "HEADER.FIELDS.NOT" {
			s.Specifier = HeaderFieldsNot
		}
		r.sp()
		r.list(func() { s.Fields = append(s.Fields, r.fieldName()) })
		if len(s.Fields) == 0 {
			r.fail("no header field")
		}
	default:
		r.fail("unknown section %.30s", w)
	}
}

// fieldName reads the name of a header field. Names that no header can have are let through, since
// they match nothing, but not what could not be echoed.
func (r *Reader) fieldName() string {
	name := r.astring()
	for i := range len(name) {
		if name[i] < 0x20 || name[i] >= 0x7f {
			r.fail("not the name of a header field")
			return ""
		}
	}
	return name
}

// Append appends the section as responses echo it, with its brackets.
func (s Section) Append(b []byte) []byte {
	b = append(b, '[')
	for i, n := range s.Part {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	if s.Specifier != Whole && len(s.Part) > 0 {
		b = append(b, '.')
	}
	switch s.Specifier {
	case Whole:
	case Header:
		b = append(b, "HEADER"...)
	case Text:
		b = append(b, "TEXT"...)
	case MIME:
		b = append(b, "MIME"...)
	case HeaderFields, HeaderFieldsNot:
		b = append(b, "HEADER.FIELDS"...)
		if s.Specifier == HeaderFieldsNot {
			b = append(b, ".NOT"...)
		}
		b = append(b, ' ')
		for i, f := range s.Fields {
			if i == 0 {
				b = append(b, '(')
			} else {
				b = append(b, ' ')
			}
			b = appendAString(b, f)
		}
		b = append(b, ')')
	}
	return append(b, ']')
}

// appendAString appends printable ASCII as an atom, or quoted where it is none.
func appendAString(b []byte, s string) []byte {
	atom := s != ""
	for i := range len(s) {
		atom = atom && isAtom(s[i])
	}
	if atom {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
