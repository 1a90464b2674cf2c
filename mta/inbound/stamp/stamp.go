// Package stamp keeps the header of a message honest: fields in which others speak in our name are taken out before ours are put
// in front (RFC 8601, section 5). It edits the octets of a header and changes nothing else of it, so that what is signed and not
// taken out stays as it is signed. Whoever verifies signatures does so before.
package stamp

import (
	"bytes"
	"strings"
)

// MaxHeader is the largest header that is read, in octets. One that is larger is not mail of people.
const MaxHeader = 1 << 20

// Rules say what is taken out.
type Rules struct {
	// Servers are the names in which Authentication-Results are ours, in lower case: those of our nodes and domains.
	Servers []string
	// Spam has fields taken out that say whether a message is spam: ours are put in front, or there are none.
	Spam bool
}

// Clean returns header without the fields that r takes out, and their names. header is all of it, with or without the empty line
// behind it. Where nothing is taken out it is the same slice.
func (r Rules) Clean(header []byte) (kept []byte, removed []string) {
	from := 0 // of what is not copied yet
	for at := 0; at < len(header); {
		end := fieldEnd(header, at)
		field := header[at:end]
		if field[0] == '\n' || field[0] == '\r' && empty(field) {
			break // the empty line
		}
		if name, value, ok := split(field); ok && r.takes(name, value) {
			kept = append(kept, header[from:at]...)
			from = end
			removed = append(removed, string(name))
		}
		at = end
	}
	if removed == nil {
		return header, nil
	}
	return append(kept, header[from:]...), removed
}

// takes reports whether a field is taken out.
func (r Rules) takes(name, value []byte) bool {
	switch {
	case is(name, "return-path"): // of another's final delivery (RFC 5321, section 4.4)
		return true
	case is(name, "authentication-results"):
		return r.ours(serverOf(string(value)))
	case len(name) >= len("x-spam-") && is(name[:len("x-spam-")], "x-spam-"):
		return r.Spam
	}
	return false
}

// is reports whether a name is one of lower case, in whatever letters.
func is(name []byte, lower string) bool {
	return len(name) == len(lower) && strings.EqualFold(string(name), lower)
}

// empty reports whether a line has nothing but its end.
func empty(line []byte) bool { return len(bytes.Trim(line, "\r\n")) == 0 }

// ours reports whether an authserv-id is one of ours. One that cannot be read might be taken for ours by somebody.
func (r Rules) ours(server string) bool {
	if server == "" {
		return true
	}
	for _, s := range r.Servers {
		if strings.EqualFold(s, server) {
			return true
		}
	}
	return false
}

// fieldEnd is where the field at a place ends, with the lines that continue it.
func fieldEnd(header []byte, at int) int {
	for {
		next := bytes.IndexByte(header[at:], '\n')
		if next < 0 {
			return len(header)
		}
		at += next + 1
		if at == len(header) || header[at] != ' ' && header[at] != '\t' {
			return at
		}
	}
}

// split parts a field; white space before the colon is obsolete syntax (RFC 5322, section 4.5.8), and read by some.
func split(field []byte) (name, value []byte, ok bool) {
	name, value, ok = bytes.Cut(field, []byte(":"))
	return bytes.TrimRight(name, " \t"), value, ok
}

// serverOf is the authserv-id of a field's value, without the comments and quotes around it; "" where there is none.
func serverOf(value string) string {
	for {
		value = strings.TrimLeft(value, " \t\r\n")
		if !strings.HasPrefix(value, "(") {
			break
		}
		end := commentEnd(value)
		if end < 0 {
			return ""
		}
		value = value[end:]
	}
	if strings.HasPrefix(value, `"`) {
		return unquote(value)
	}
	if end := strings.IndexAny(value, " \t\r\n;("); end >= 0 {
		value = value[:end]
	}
	return value
}

// commentEnd is where the comment that s begins with ends, behind its bracket; -1 where it does not.
func commentEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

func unquote(s string) string {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String()
		default:
			b.WriteByte(s[i])
		}
	}
	return ""
}
