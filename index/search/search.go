// Package search says what the text of a message is to SEARCH (RFC 9051, section 6.4.4), and finds texts in
// it: the header decoded (RFC 2047), and the text parts out of their transfer encodings and charsets, of HTML
// what a reader sees, all folded so that case does not count. It reads what it is given; it knows neither
// mailboxes nor search programs.
package search

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/index/access"
)

// Fold makes a text what it is looked for as: in lower case, character by character.
func Fold(s string) []byte { return appendFolded(nil, []byte(s)) }

// Holds reports whether s has the folded text in it, without regard to case.
func Holds(s string, text []byte) bool { return strings.Contains(strings.ToLower(s), string(text)) }

// Reader is the memory of a search, used for one message after the other by one goroutine. It holds some tens
// of KiB beside the largest text that was in memory already.
type Reader struct {
	lines *bufio.Reader
	field []byte // as it is in the header
	chunk []byte // of a text, as read
	low   []byte // folded
	tail  []byte // of a text that comes in pieces
}

// Body reports whether one of the text parts of a message has the folded text in it. Errors are those of body.
func (r *Reader) Body(m *access.Message, body access.Body, text []byte) (found bool, err error) {
	err = r.Texts(m, body, func(piece []byte, begins bool) bool {
		found = r.meets(piece, begins, text)
		return !found
	})
	return found, err
}

// Header reports whether a field of a name, in lower case, has the folded text in its value, or with an empty
// name whether any field has it in its name and value.
func (r *Reader) Header(m *access.Message, body access.Body, name string, text []byte) (found bool, err error) {
	err = r.Values(m, body, name, func(value []byte) bool {
		found = bytes.Contains(value, text)
		return !found
	})
	return found, err
}

// Values calls fn with what Header looks in for a name, folded and in the order of the header, until fn returns false:
// the value of each field of that name, or with an empty name each field. It is valid until fn returns. Errors are
// those of body.
func (r *Reader) Values(m *access.Message, body access.Body, name string, fn func(value []byte) bool) error {
	return r.fields(m, body, func(field []byte) bool {
		if name != "" {
			i := bytes.IndexByte(field, ':')
			if i < 0 || !is(bytes.TrimRight(field[:i], " \t"), name) {
				return true
			}
			field = field[i+1:]
		}
		return fn(r.foldField(field))
	})
}

// RulesOut reports that no field whose raw value is among octets, as in an encoded envelope, can have the folded
// text in it, decoded or not. It says so of ASCII without encoded words alone.
func (r *Reader) RulesOut(octets, text []byte) bool {
	if bytes.Contains(octets, []byte("=?")) {
		return false
	}
	r.low = foldASCII(r.low[:0], octets)
	return len(r.low) == len(octets) && !bytes.Contains(r.low, text)
}

// is reports whether b is name, which is in lower case, in any case.
func is(b []byte, name string) bool {
	return len(b) == len(name) && string(bytes.ToLower(b)) == name
}

// meets looks for text in what came of a text so far.
//
// Invariant: tail is the end of what was seen, shorter than text by one octet or more.
func (r *Reader) meets(piece []byte, begins bool, text []byte) bool {
	keep := max(len(text)-1, 0)
	if begins {
		r.tail = r.tail[:0]
	}
	if len(r.tail) > 0 {
		r.tail = append(r.tail, piece[:min(len(piece), keep)]...)
		if bytes.Contains(r.tail, text) {
			return true
		}
	}
	if bytes.Contains(piece, text) {
		return true
	}
	switch {
	case len(piece) >= keep:
		r.tail = append(r.tail[:0], piece[len(piece)-keep:]...)
	case len(r.tail) == 0:
		r.tail = append(r.tail, piece...)
	case len(r.tail) > keep:
		r.tail = append(r.tail[:0], r.tail[len(r.tail)-keep:]...)
	}
	return false
}

const (
	ones = 0x0101010101010101 // in each octet of a word
	high = 0x80 * ones
)

// appendFolded appends b in lower case, as bytes.ToLower does, eight octets of ASCII at a time.
func appendFolded(dst, b []byte) []byte {
	dst = slices.Grow(dst, len(b))
	for len(b) > 0 {
		n := len(dst)
		dst = foldASCII(dst, b)
		b = b[len(dst)-n:]
		for len(b) > 0 && b[0] >= utf8.RuneSelf {
			c, size := utf8.DecodeRune(b)
			dst = utf8.AppendRune(dst, unicode.ToLower(c))
			b = b[size:]
		}
	}
	return dst
}

// foldASCII appends the ASCII that b begins with.
func foldASCII(dst, b []byte) []byte {
	from := len(dst)
	dst = append(dst, b...)
	out, i := dst[from:], 0
	for ; i+8 <= len(out); i += 8 {
		w := binary.LittleEndian.Uint64(out[i:])
		if w&high != 0 {
			break
		}
		// The high bit of an octet is set where it is at least 'A', and where it is above 'Z'.
		capital := ((w + (0x80-'A')*ones) ^ (w + (0x80-'Z'-1)*ones)) & high
		binary.LittleEndian.PutUint64(out[i:], w|capital>>2)
	}
	for ; i < len(out) && out[i] < utf8.RuneSelf; i++ {
		if c := out[i]; 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return dst[:from+i]
}
