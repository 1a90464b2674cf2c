// Package letter is a message as a Sieve script sees and changes it: fields decoded, parts with their text, fields added and deleted
// (RFC 5293), parts replaced, the whole enclosed (RFC 5703). The message itself is read where it lies, as little of it as is asked for,
// and never changed: what a script made of it is a Text. Which changes a script may make is for mta/sieve to say.
package letter

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/mta/sieve/match"
)

// Limits bound what is looked at. A field left zero has its default.
type Limits struct {
	Header int // octets of the header; default 512 KiB. What is above it counts as body
	Body   int // octets of decoded text of each kind; default 1 MiB
	Parts  int // default 500
}

func (l Limits) withDefaults() Limits {
	if l.Header <= 0 {
		l.Header = 512 << 10
	}
	if l.Body <= 0 {
		l.Body = 1 << 20
	}
	if l.Parts <= 0 {
		l.Parts = 500
	}
	return l
}

// Letter is one message. It is for one goroutine.
type Letter struct {
	limits Limits
	src    io.ReaderAt
	size   int64
	fields []*Field
	front  []*Field            // that stand before the message and are no part of it
	named  map[string][]*Field // by name in lower case, nil until asked for
	gap    []byte              // the empty line behind the fields
	bodyAt int64
	noBody bool // nothing ends the header, so that there is no body, not even an empty one

	root    *Part          // nil until asked for
	raw     *match.Subject // nil until asked for
	changed bool
	version *Text // of all changes so far, nil until asked for
}

// New reads the header of a message. Errors are those of src.
func New(src io.ReaderAt, size int64, limits Limits) (*Letter, error) {
	l := &Letter{limits: limits.withDefaults(), src: src, size: size}
	header, err := l.readHeader()
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	l.fields, l.bodyAt = parseFields(header)
	rest := header[l.bodyAt:]
	l.gap = rest[:0]
	for _, end := range []string{"\r\n", "\n"} {
		if bytes.HasPrefix(rest, []byte(end)) {
			l.gap = rest[:len(end)]
			break
		}
	}
	l.bodyAt += int64(len(l.gap))
	l.noBody = len(l.gap) == 0 && l.bodyAt == size
	return l, nil
}

// readHeader reads up to the end of the header or a bit further.
func (l *Letter) readHeader() ([]byte, error) {
	var header []byte
	for chunk := 4 << 10; ; chunk *= 2 {
		want := min(int64(chunk), int64(l.limits.Header), l.size)
		start := len(header)
		header = append(header, make([]byte, int(want)-start)...)
		if err := readFull(l.src, header[start:], int64(start)); err != nil {
			return nil, err
		}
		from := max(0, start-3)
		if want == l.size || want == int64(l.limits.Header) || bytes.Contains(header[from:], []byte("\n\r\n")) ||
			bytes.Contains(header[from:], []byte("\n\n")) {
			return header, nil
		}
	}
}

// readFull fills b from an offset on.
func readFull(src io.ReaderAt, b []byte, off int64) error {
	n, err := src.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Fields gives the fields of a name, in any case, from the top.
func (l *Letter) Fields(name string) []*Field {
	if l.named == nil {
		l.named = byName(slices.Concat(l.front, l.fields))
	}
	return l.named[strings.ToLower(name)]
}

// Len gives the number of fields.
func (l *Letter) Len() int { return len(l.front) + len(l.fields) }

// Front says which fields stand before the message: those of whoever received it. They are seen, but are no part of it: they stay, and are
// in no Text.
func (l *Letter) Front(header []byte) {
	l.front, _ = parseFields(header)
	l.named = nil
}

// Add puts a field in front of the others or behind them. The value is UTF-8 on one line.
func (l *Letter) Add(name, value string, last bool) {
	f := NewField(name, value)
	if !last {
		l.fields = slices.Insert(l.fields, 0, f)
	} else {
		if n := len(l.fields); n > 0 && !bytes.HasSuffix(l.fields[n-1].Raw, []byte("\n")) {
			l.fields[n-1] = &Field{Name: l.fields[n-1].Name, Raw: append(slices.Clone(l.fields[n-1].Raw), "\r\n"...)}
		}
		l.fields = append(l.fields, f)
	}
	l.touch()
}

// Delete takes fields of this Letter out, and gives how many those were: fields of its Front stay.
func (l *Letter) Delete(fields ...*Field) int {
	before := len(l.fields)
	l.fields = slices.DeleteFunc(l.fields, func(f *Field) bool { return slices.Contains(fields, f) })
	if n := before - len(l.fields); n > 0 {
		l.touch()
		return n
	}
	return 0
}

// rename keeps the fields of a name under another one.
func (l *Letter) rename(from, to string) {
	for i, f := range l.fields {
		if strings.EqualFold(f.Name, from) {
			_, value, _ := bytes.Cut(f.Raw, []byte(":"))
			l.fields[i] = &Field{Name: to, Raw: append([]byte(to+":"), value...)}
			l.touch()
		}
	}
}

func (l *Letter) touch() { l.changed, l.version, l.named, l.raw = true, nil, nil, nil }

// Version gives the message as it is now; nil where it is as it came. It stays as it is when the Letter changes later.
func (l *Letter) Version() *Text {
	if !l.changed {
		return nil
	}
	if l.version == nil {
		t := &Text{}
		var header []byte
		for _, f := range l.fields {
			header = append(header, f.Raw...)
		}
		gap := l.gap
		if len(gap) == 0 {
			gap = []byte("\r\n")
		}
		header = append(header, gap...)
		t.add(bytes.NewReader(header), 0, int64(len(header)))
		if l.root == nil {
			t.add(l.src, l.bodyAt, l.size-l.bodyAt)
		} else {
			l.root.writeBody(t, l)
		}
		l.version = t
	}
	return l.version
}

// whole gives the message as it is now, changed or not.
func (l *Letter) whole() *Text {
	if v := l.Version(); v != nil {
		return v
	}
	t := &Text{}
	t.add(l.src, 0, l.size)
	return t
}

// Field is one header field.
type Field struct {
	Name    string // as written
	Raw     []byte // all of it with its folds and line end
	subject *match.Subject
}

// NewField makes a field of a UTF-8 value: folded, with encoded words where it is not ASCII (RFC 2047).
func NewField(name, value string) *Field {
	return &Field{Name: name, Raw: []byte(fold(name + ": " + encodeWords(value)))}
}

// Value gives the value unfolded, without white space around it, still encoded.
func (f *Field) Value() []byte {
	_, value, _ := bytes.Cut(f.Raw, []byte(":"))
	value = bytes.ReplaceAll(bytes.ReplaceAll(value, []byte("\r"), nil), []byte("\n"), nil)
	return bytes.Trim(value, " \t")
}

// Subject gives the value in UTF-8 with its encoded words decoded.
func (f *Field) Subject() *match.Subject {
	if f.subject == nil {
		f.subject = &match.Subject{Text: strings.Trim(message.DecodeHeader(f.Value()), " \t")}
	}
	return f.subject
}

// parseFields reads the fields of a header and gives where they end.
func parseFields(header []byte) (fields []*Field, end int64) {
	for name, raw := range message.Fields(header) {
		end = int64(cap(header) - cap(raw) + len(raw)) // raw is a piece of header
		fields = append(fields, &Field{Name: name, Raw: raw[:len(raw):len(raw)]})
	}
	return fields, end
}

func byName(fields []*Field) map[string][]*Field {
	named := map[string][]*Field{}
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		named[name] = append(named[name], f)
	}
	return named
}
