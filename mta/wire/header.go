package wire

import (
	"bytes"
	"strings"
)

// HeaderEnd gives the length of the header at the start of a message, with its empty line, or -1
// where its end is not in p yet. from is how much of p an earlier call has seen.
func HeaderEnd(p []byte, from int) int {
	if bytes.HasPrefix(p, []byte("\r\n")) {
		return 2
	}
	from = max(from-3, 0)
	if i := bytes.Index(p[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 4
	}
	return -1
}

// CountField gives how many fields of the header are called name, which is in lower case.
func CountField(header []byte, name string) int {
	count := 0
	for len(header) > 0 {
		var line []byte
		line, header, _ = bytes.Cut(header, []byte{'\n'})
		if len(line) <= len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
			continue
		}
		if rest := bytes.TrimLeft(line[len(name):], " \t"); len(rest) > 0 && rest[0] == ':' {
			count++
		}
	}
	return count
}

// HasField reports whether a field of the header that is called name, which is in lower case, has a value, whatever its case. A
// value that is folded is not found.
func HasField(header []byte, name, value string) bool {
	for line := range bytes.Lines(header) {
		if key, rest, ok := bytes.Cut(line, []byte{':'}); ok && bytes.EqualFold(bytes.TrimRight(key, " \t"), []byte(name)) &&
			bytes.EqualFold(bytes.TrimSpace(rest), []byte(value)) {
			return true
		}
	}
	return false
}

// StartsWithField reports whether p starts with a header field (RFC 5322, section 2.2) or is empty.
// A message that does not is all body.
func StartsWithField(p []byte) bool {
	for i, c := range p {
		switch {
		case c == ':':
			return i > 0
		case c == ' ' || c == '\t':
			// Blanks before the colon are obsolete syntax.
			rest := bytes.TrimLeft(p[i:], " \t")
			return i > 0 && len(rest) > 0 && rest[0] == ':'
		case c < '!' || c > '~':
			return false
		}
	}
	return len(p) == 0
}

// TLSOptional reports whether a header has the field "TLS-Required: No", once and with no other value (RFC 8689, section 3).
func TLSOptional(header []byte) bool {
	const name = "tls-required"
	if CountField(header, name) != 1 {
		return false
	}
	for line := range bytes.Lines(header) {
		if key, value, ok := strings.Cut(string(line), ":"); ok && strings.EqualFold(strings.TrimRight(key, " \t"), name) {
			return strings.EqualFold(strings.TrimSpace(value), "no")
		}
	}
	return false
}
