package engine

import (
	"bufio"
	"bytes"
	"io"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/message"
)

// fieldFilter chooses the fields of a header by name (RFC 9051, section 6.4.5.1, HEADER.FIELDS).
type fieldFilter struct {
	names []string
	not   bool
}

func newFieldFilter(sec wire.Section) fieldFilter {
	return fieldFilter{names: sec.Fields, not: sec.Specifier == wire.HeaderFieldsNot}
}

// copy writes the chosen fields of header as they are, and an empty line. r is memory to read with.
func (f fieldFilter) copy(dst io.Writer, header io.Reader, r *bufio.Reader) error {
	keep := false
	err := message.EachLine(header, r, func(line []byte, begins bool) (bool, error) {
		if begins {
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				return false, nil
			}
			if line[0] != ' ' && line[0] != '\t' {
				keep = f.not != f.has(line)
			}
		}
		if !keep {
			return true, nil
		}
		_, err := dst.Write(line)
		return true, err
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(dst, "\r\n")
	return err
}

// has reports whether the field that a line begins is one of the names.
func (f fieldFilter) has(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return false
	}
	name = bytes.TrimRight(name, " \t")
	for _, n := range f.names {
		if len(n) == len(name) && equalFold(n, string(name)) {
			return true
		}
	}
	return false
}
