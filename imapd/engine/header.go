package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/rookery-mail/rookery/imapd/wire"
)

// fieldFilter chooses the fields of a header by name (RFC 9051, section 6.4.5.1, HEADER.FIELDS).
type fieldFilter struct {
	names map[string]bool // lower case
	not   bool
}

func newFieldFilter(sec wire.Section) fieldFilter {
	f := fieldFilter{names: make(map[string]bool, len(sec.Fields)), not: sec.Specifier == wire.HeaderFieldsNot}
	for _, name := range sec.Fields {
		f.names[strings.ToLower(name)] = true
	}
	return f
}

// copy writes the chosen fields of header as they are, and an empty line.
func (f fieldFilter) copy(dst io.Writer, header io.Reader) error {
	keep := false
	err := eachLine(header, func(line []byte, begins bool) (bool, error) {
		if begins {
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				return false, nil
			}
			if line[0] != ' ' && line[0] != '\t' {
				name, ok := fieldName(line)
				keep = f.not != (ok && f.names[name])
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

// eachLine calls fn for the lines of src with their ends, until fn returns false. A line above 4 KiB
// comes in pieces, of which only the first begins one.
func eachLine(src io.Reader, fn func(line []byte, begins bool) (bool, error)) error {
	r := bufio.NewReaderSize(src, 4<<10)
	begins := true
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			more, failed := fn(line, begins)
			if failed != nil || !more {
				return failed
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			begins = false
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		default:
			begins = true
		}
	}
}

// fieldName gives the name of the field that a line begins, in lower case.
func fieldName(line []byte) (string, bool) {
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return "", false
	}
	return string(bytes.ToLower(bytes.TrimRight(name, " \t"))), true
}
