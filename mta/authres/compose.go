package authres

import (
	"strings"
	"unicode/utf8"
)

const (
	columns = 78  // of a line, where words allow it (RFC 5322, section 2.1.1)
	maxText = 300 // octets of words and values of others that are told; what is above is cut
)

// String is the whole field, folded, with its name and its last CRLF.
func (f Field) String() string { return Name + ": " + f.Payload() + "\r\n" }

// Payload is what is behind the name: the host, and each result on a line of its own, without the last CRLF.
func (f Field) Payload() string {
	if len(f.Results) == 0 {
		return value(f.Server) + "; none"
	}
	var b strings.Builder
	b.WriteString(value(f.Server))
	for _, r := range f.Results {
		b.WriteString(";\r\n\t" + r.String())
	}
	return b.String()
}

// String is the result as RFC 8601, section 2.2, has it, folded for a line that begins with a tab. It has no ";" but in quotes and
// comments.
func (r Result) String() string {
	pieces := []string{keyword(r.Method) + "=" + keyword(r.Value)}
	if r.Comment != "" {
		pieces = append(pieces, comment(r.Comment))
	}
	if r.Reason != "" {
		pieces = append(pieces, "reason="+quoted(r.Reason))
	}
	for _, p := range r.Properties {
		pieces = append(pieces, keyword(p.Type)+"."+keyword(p.Name)+"="+value(p.Value))
	}
	var b strings.Builder
	column := 8
	for i, p := range pieces {
		width := utf8.RuneCountInString(p)
		switch {
		case i == 0:
		case column+1+width > columns-1: // a ";" may follow
			b.WriteString("\r\n\t ")
			column = 9
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(p)
		column += width
	}
	return b.String()
}

// keyword is a name of letters, digits, hyphens and underscores; what else it has becomes a hyphen.
func keyword(s string) string {
	if s == "" {
		return "none"
	}
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (isAlnum(byte(r)) || r == '-' || r == '_') {
			return r
		}
		return '-'
	}, s)
}

// value is a token, an address or a domain where it can be, else a quoted string.
func value(s string) string {
	s = clean(s)
	local, domain := "", s
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		local, domain = s[:at], s[at+1:]
	}
	if domain != "" && isToken(domain) && (local == "" || isToken(local)) {
		return s
	}
	return quoted(s)
}

// isToken reports whether text needs no quotes (RFC 2045, section 5.1), dots and all.
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, s[i]) >= 0 {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// clean takes out what must not be in a header field, and cuts what is long.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, s)
	if len(s) > maxText {
		s = s[:maxText]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return s
}

func quoted(s string) string { return `"` + escape(clean(s), `"\`) + `"` }

func comment(s string) string { return "(" + escape(clean(s), `()\`) + ")" }

func escape(s, special string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(special, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
