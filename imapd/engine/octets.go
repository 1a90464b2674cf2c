package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
)

// octets searches a message's octets, streaming.
type octets struct {
	body    access.Body
	summary *access.Message
	scratch *scratch
}

// scratch is the memory of a search, used for one message after the other.
type scratch struct {
	chunk []byte // as read
	low   []byte // in lower case
	lines *bufio.Reader
}

// match decides the criteria of costBody.
func (o *octets) match(k *criterion) (bool, error) {
	switch k.op {
	case wire.SearchHeader:
		return o.header(k.field, k.text)
	case wire.SearchText:
		found, err := o.header("", k.text)
		if found || err != nil {
			return found, err
		}
	}
	return o.part(o.summary.Structure(), k.text, 0)
}

// maxField bounds what is looked at of one header field.
const maxField = 64 << 10

// header looks for text in the fields of a name, or in all of them where name is empty.
func (o *octets) header(name string, text []byte) (bool, error) {
	size := min(int64(o.summary.HeaderSize), o.body.Size())
	var field []byte // with its name
	found := false
	check := func() bool {
		if len(field) == 0 {
			return false
		}
		value := field
		if name != "" {
			got, ok := fieldName(field)
			if !ok || got != name {
				return false
			}
			_, value, _ = bytes.Cut(field, []byte(":"))
		}
		return holds(message.DecodeHeader(bytes.TrimSpace(value)), text)
	}
	if o.scratch.lines == nil {
		o.scratch.lines = newLines()
	}
	err := eachLine(io.NewSectionReader(o.body, 0, size), o.scratch.lines, func(line []byte, begins bool) (bool, error) {
		if begins && line[0] != ' ' && line[0] != '\t' {
			if found = check(); found {
				return false, nil
			}
			field = field[:0]
		}
		if len(field) < maxField {
			field = append(field, line...)
		}
		return true, nil
	})
	return found || err == nil && check(), err
}

// maxSearchDepth bounds the recursion into a message's parts.
const maxSearchDepth = 256

// part looks for text in the text parts of a tree.
func (o *octets) part(p *indexpb.Part, text []byte, depth int) (bool, error) {
	if depth > maxSearchDepth {
		return false, nil
	}
	for _, c := range p.Children {
		if found, err := o.part(c, text, depth+1); found || err != nil {
			return found, err
		}
	}
	if string(p.Type) != "text" && len(p.Type) > 0 {
		return false, nil
	}
	at := bounded(int64(p.BodyOffset), int64(p.BodyOffset+p.BodyLength), o.body.Size())
	return o.scratch.contains(message.DecodeText(p, io.NewSectionReader(o.body, at.off, at.n)), text)
}

// contains looks for text, which is in lower case, in the UTF-8 that r gives, without regard to case.
// It holds a few KiB, however long r is.
func (s *scratch) contains(r io.Reader, text []byte) (bool, error) {
	if len(text) == 0 {
		return true, nil
	}
	if s.chunk == nil {
		s.chunk = make([]byte, 16<<10)
	}
	chunk := s.chunk
	low := s.low[:0] // the end of what was looked at, then what is new
	defer func() { s.low = low }()
	kept := 0 // octets of an unfinished character at the start of chunk
	for {
		n, err := r.Read(chunk[kept:])
		n += kept
		cut := n
		if err == nil {
			cut = wholeRunes(chunk[:n])
		}
		low = appendLower(low, chunk[:cut])
		if bytes.Contains(low, text) {
			return true, nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return false, err
		}
		if over := len(low) - len(text) + 1; over > 0 {
			low = append(low[:0], low[over:]...)
		}
		kept = copy(chunk, chunk[cut:n])
	}
}

// appendLower appends b in lower case.
func appendLower(low, b []byte) []byte {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return append(low, bytes.ToLower(b[i:])...)
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		low = append(low, c)
	}
	return low
}

// wholeRunes gives the length of b without a character that its end cuts.
func wholeRunes(b []byte) int {
	for back := 1; back <= min(utf8.UTFMax, len(b)); back++ {
		if utf8.RuneStart(b[len(b)-back]) {
			if !utf8.FullRune(b[len(b)-back:]) {
				return len(b) - back
			}
			break
		}
	}
	return len(b)
}
