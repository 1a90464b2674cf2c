package search

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
)

const (
	maxDepth  = 256      // of parts in parts
	chunkSize = 16 << 10 // octets of a text that are read at a time
	maxField  = 64 << 10 // octets that are looked at of one header field
)

// Texts calls fn with the folded text of each text part of a message in turn, in pieces of whole characters of
// which the first begins one, until fn returns false. A part without text gives one empty piece. Pieces are
// valid until fn returns. Errors are those of body.
func (r *Reader) Texts(m *access.Message, body access.Body, fn func(piece []byte, begins bool) bool) error {
	_, err := r.part(m.Structure(), body, 0, fn)
	return err
}

func (r *Reader) part(p *indexpb.Part, body access.Body, depth int, fn func([]byte, bool) bool) (more bool, err error) {
	if depth > maxDepth {
		return true, nil
	}
	for _, c := range p.Children {
		if more, err := r.part(c, body, depth+1, fn); !more || err != nil {
			return more, err
		}
	}
	if string(p.Type) != "text" && len(p.Type) > 0 {
		return true, nil
	}
	// Inside the message, whatever the structure says.
	size := body.Size()
	from := min(max(int64(p.BodyOffset), 0), size)
	n := max(min(int64(p.BodyOffset+p.BodyLength), size)-from, 0)
	if all, ok := body.(access.Octets); ok && message.IsText(p) && utf8.Valid(all[from:from+n]) {
		r.low = appendFolded(r.low[:0], all[from:from+n])
		return fn(r.low, true), nil
	}
	return r.pieces(message.DecodeText(p, io.NewSectionReader(body, from, n), message.TextOnly), fn)
}

// pieces reads a text to its end.
func (r *Reader) pieces(text io.Reader, fn func([]byte, bool) bool) (more bool, err error) {
	if r.chunk == nil {
		r.chunk = make([]byte, chunkSize)
	}
	kept := 0 // octets of an unfinished character at the start of chunk
	for begins := true; ; begins = false {
		n, err := text.Read(r.chunk[kept:])
		n += kept
		cut := n
		if err == nil {
			cut = wholeRunes(r.chunk[:n])
		}
		r.low = appendFolded(r.low[:0], r.chunk[:cut])
		if !fn(r.low, begins) {
			return false, nil
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		kept = copy(r.chunk, r.chunk[cut:n])
	}
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

// Fields calls fn with every text that Header looks in, folded, until fn returns false: each field of the top
// header, decoded, and its value alone where that may decode to something else. The text is valid until fn
// returns. Errors are those of body.
func (r *Reader) Fields(m *access.Message, body access.Body, fn func(text []byte) bool) error {
	return r.fields(m, body, func(field []byte) bool {
		if !fn(r.foldField(field)) {
			return false
		}
		i := bytes.IndexByte(field, ':')
		return i < 0 || !needsDecoding(field) || fn(r.foldField(field[i+1:]))
	})
}

// fields calls fn with the fields of the top header as they are, cut at maxField.
func (r *Reader) fields(m *access.Message, body access.Body, fn func([]byte) bool) error {
	if r.lines == nil {
		r.lines = message.NewLines()
	}
	more := true
	r.field = r.field[:0]
	header := io.NewSectionReader(body, 0, min(int64(m.HeaderSize), body.Size()))
	err := message.EachLine(header, r.lines, func(line []byte, begins bool) (bool, error) {
		if begins && line[0] != ' ' && line[0] != '\t' {
			if more = len(r.field) == 0 || fn(r.field); !more {
				return false, nil
			}
			r.field = r.field[:0]
		}
		if len(r.field) < maxField {
			r.field = append(r.field, line...)
		}
		return true, nil
	})
	if err == nil && more && len(r.field) > 0 {
		fn(r.field)
	}
	return err
}

// foldField decodes and folds a field or its value.
func (r *Reader) foldField(raw []byte) []byte {
	raw = bytes.TrimSpace(raw)
	if needsDecoding(raw) {
		r.low = appendFolded(r.low[:0], []byte(message.DecodeHeader(raw)))
		return r.low
	}
	r.low = appendFolded(r.low[:0], raw)
	return unfold(r.low)
}

// needsDecoding reports whether a field is more than its octets say.
func needsDecoding(raw []byte) bool { return !utf8.Valid(raw) || bytes.Contains(raw, []byte("=?")) }

// unfold removes line ends, in place.
func unfold(b []byte) []byte {
	if bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return b
	}
	out := b[:0]
	for _, c := range b {
		if c != '\r' && c != '\n' {
			out = append(out, c)
		}
	}
	return out
}
