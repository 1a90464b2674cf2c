package message

import (
	"bytes"
	"iter"
	"strings"
)

// Fields gives the fields of a raw header one after the other: the name as written and the whole field
// with its folds and line ends. It ends with the empty line, or with what is neither field nor fold.
func Fields(header []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for len(header) > 0 {
			n := fieldSize(header)
			line, _, _ := bytes.Cut(header, []byte("\n"))
			name, _, ok := splitField(line)
			if !ok && !isMboxLine(line) || ok && !yield(string(name), header[:n]) {
				return
			}
			header = header[n:]
		}
	}
}

// fieldSize gives the octets of the line that b begins with and of its folds.
func fieldSize(b []byte) int {
	for n := 0; ; {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return len(b)
		}
		n += i + 1
		if n == len(b) || b[n] != ' ' && b[n] != '\t' {
			return n
		}
	}
}

// HeaderFields gives the fields of a raw header that have one of the names, in any case, or with not
// set those that have none of them, in their order, and an empty line: BODY[HEADER.FIELDS (…)] and
// BODY[HEADER.FIELDS.NOT (…)] of RFC 9051, section 6.4.5.1.
func HeaderFields(header []byte, names []string, not bool) []byte {
	wanted := make(map[string]bool, len(names))
	for _, n := range names {
		wanted[strings.ToLower(n)] = true
	}
	var out []byte
	for name, field := range Fields(header) {
		if wanted[strings.ToLower(name)] != not {
			out = append(out, field...)
			if field[len(field)-1] != '\n' {
				out = append(out, "\r\n"...)
			}
		}
	}
	return append(out, "\r\n"...)
}

// FieldValue gives the value of the first field of a name, in any case: unfolded, without the white
// space around it, still encoded.
func FieldValue(header []byte, name string) ([]byte, bool) {
	for n, field := range Fields(header) {
		if strings.EqualFold(n, name) {
			return bytes.Trim(unfold(field[bytes.IndexByte(field, ':')+1:]), " \t"), true
		}
	}
	return nil, false
}
