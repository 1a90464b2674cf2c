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
	if len(names)*len(h) <= 4096 {
		return h.pickFew(names)
	}
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

// pickFew is Pick that compares each name with each field, which is the quicker way while there are few.
func (h Header) pickFew(names []string) []Field {
	out := make([]Field, 0, len(names))
	picked := make([]bool, len(h))
	for _, name := range names {
		for i := len(h) - 1; i >= 0; i-- {
			if !picked[i] && strings.EqualFold(h[i].Name, name) {
				picked[i] = true
				out = append(out, h[i])
				break
			}
		}
	}
	return out
}

// readHeader reads up to the empty line that ends the header, or to the end. A line that is no field is kept as one
// without a name: it is not signed, and does not end the header. The texts of the fields are parts of one.
func readHeader(r *bufio.Reader) (Header, error) {
	text := make([]byte, 0, 4<<10)
	var begins []int // of fields, in the text
	total := 0
	for {
		from := len(text)
		var err error
		if text, err = appendLine(text, r, MaxHeader-total); err != nil && err != io.EOF {
			return nil, err
		}
		n := len(text) - from
		if total += n + 2; n == 0 {
			return fields(string(text), begins), nil
		}
		if c := text[from]; c != ' ' && c != '\t' {
			begins = append(begins, from)
		} else if from == 0 {
			return nil, fmt.Errorf("it begins with a fold: %w", ErrHeader)
		}
		text = append(text, "\r\n"...)
		if err == io.EOF {
			return fields(string(text), begins), nil
		}
	}
}

// fields cuts the text of a header where fields begin.
func fields(text string, begins []int) Header {
	if len(begins) == 0 {
		return nil
	}
	h := make(Header, len(begins))
	for i, from := range begins {
		to := len(text)
		if i+1 < len(begins) {
			to = begins[i+1]
		}
		name, _, ok := strings.Cut(text[from:to], ":")
		if !ok {
			name = ""
		}
		h[i] = Field{Name: strings.TrimRight(name, " \t"), Text: text[from:to]}
	}
	return h
}

// appendLine reads a line of at most limit octets, and appends it to text without its end.
func appendLine(text []byte, r *bufio.Reader, limit int) ([]byte, error) {
	from := len(text)
	for {
		p, err := r.ReadSlice('\n')
		if len(text)-from+len(p) > limit {
			return nil, fmt.Errorf("it has more than %d octets: %w", MaxHeader, ErrHeader)
		}
		text = append(text, p...)
		switch {
		case err == nil || err == io.EOF:
			line, _ := cutEnd(text[from:])
			return text[:from+len(line)], err
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("read the header of a message: %w", err)
		}
	}
}
