package dkim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Field is a header field.
type Field struct {
	Name string // as it is written
	Text string // the whole field as it stands, with its folds, ending in CRLF
}

// Value is what is behind the colon, with its folds, without its last CRLF.
func (f Field) Value() string {
	_, value, _ := strings.Cut(f.Text, ":")
	return strings.TrimSuffix(value, "\r\n")
}

// Header is the fields of a message, the first on top.
type Header []Field

// First is the topmost field of a name, in any case.
func (h Header) First(name string) (Field, bool) {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f, true
		}
	}
	return Field{}, false
}

// Count counts the fields of a name, in any case.
func (h Header) Count(name string) (n int) {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			n++
		}
	}
	return n
}

// Pick gives the fields that a list of names stands for, in the order of the list: the last field of a name first, the
// one above it where the name comes again, and nothing where there is none left (RFC 6376, section 5.4.2).
func (h Header) Pick(names []string) []Field {
	at := make(map[string][]int, len(names)) // where they are that are not yet picked, from the top
	for _, name := range names {
		at[strings.ToLower(name)] = nil
	}
	for i, f := range h {
		key := strings.ToLower(f.Name)
		if list, wanted := at[key]; wanted {
			at[key] = append(list, i)
		}
	}
	var out []Field
	for _, name := range names {
		key := strings.ToLower(name)
		if list := at[key]; len(list) > 0 {
			out = append(out, h[list[len(list)-1]])
			at[key] = list[:len(list)-1]
		}
	}
	return out
}

// readHeader reads up to the empty line that ends the header, or to the end. A line that is no field is kept as one
// without a name: it is not signed, and does not end the header.
func readHeader(r *bufio.Reader) (Header, error) {
	var h Header
	var field strings.Builder
	total := 0
	flush := func() {
		if text := field.String(); text != "" {
			name, _, ok := strings.Cut(text, ":")
			if !ok {
				name = ""
			}
			h = append(h, Field{Name: strings.TrimRight(name, " \t"), Text: text})
			field.Reset()
		}
	}
	for {
		line, err := readLine(r, MaxHeader-total)
		if err != nil && err != io.EOF {
			return nil, err
		}
		if total += len(line) + 2; line == "" {
			flush()
			return h, nil
		}
		if line[0] != ' ' && line[0] != '\t' {
			flush()
		} else if field.Len() == 0 {
			return nil, fmt.Errorf("it begins with a fold: %w", ErrHeader)
		}
		field.WriteString(line)
		field.WriteString("\r\n")
		if err == io.EOF {
			flush()
			return h, nil
		}
	}
}

// readLine reads a line of at most limit octets, without its end.
func readLine(r *bufio.Reader, limit int) (string, error) {
	var line []byte
	for {
		p, err := r.ReadSlice('\n')
		if len(line)+len(p) > limit {
			return "", fmt.Errorf("it has more than %d octets: %w", MaxHeader, ErrHeader)
		}
		line = append(line, p...)
		switch {
		case err == nil || err == io.EOF:
			text, _ := cutEnd(line)
			return string(text), err
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", fmt.Errorf("read the header of a message: %w", err)
		}
	}
}
