package filter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// MaxHeader is how long a header may be that filters read and change.
const MaxHeader = 1 << 20

// ErrHeader says that the header of a message is too long for filters, or would become so.
var ErrHeader = errors.New("the header has more than 1 MiB")

// Field is one of a header.
type Field struct {
	Name  string // as it is written; empty for a line that is no field
	Value []byte // what is behind the colon, with its folds, without the last line end
	text  []byte
}

// Draft is a message that filters change. It keeps the header in memory, and the body where it is until it is replaced.
type Draft struct {
	fields   []Field
	gap      []byte // what parts header and body; empty where there is no body
	body     io.ReaderAt
	bodySize int64
	size     int // of the header
	Changed  bool
}

// NewDraft reads the header of a message whose first headerSize octets it is.
func NewDraft(text io.ReaderAt, size, headerSize int64) (*Draft, error) {
	if headerSize > MaxHeader {
		return nil, ErrHeader
	}
	headerSize = min(headerSize, size)
	header := make([]byte, headerSize)
	if n, err := text.ReadAt(header, 0); n < len(header) {
		return nil, fmt.Errorf("read the header of a message for filters: %w", err)
	}
	d := &Draft{body: io.NewSectionReader(text, headerSize, size-headerSize), bodySize: size - headerSize}
	d.read(header)
	return d, nil
}

// read takes a header apart, byte for byte.
func (d *Draft) read(header []byte) {
	d.size = len(header)
	for len(header) > 0 {
		n := lineEnd(header)
		if line := bytes.TrimRight(header[:n], "\r\n"); len(line) == 0 {
			d.gap = header // the empty line, and nothing behind it in a header
			return
		}
		for n < len(header) && (header[n] == ' ' || header[n] == '\t') {
			n += lineEnd(header[n:])
		}
		d.fields = append(d.fields, newField(header[:n]))
		header = header[n:]
	}
}

func lineEnd(p []byte) int {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return i + 1
	}
	return len(p)
}

func newField(text []byte) Field {
	f := Field{text: text}
	if name, value, ok := bytes.Cut(text, []byte{':'}); ok {
		f.Name = string(bytes.TrimRight(name, " \t"))
		f.Value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte{'\n'}), []byte{'\r'})
	}
	return f
}

// Fields are those of the header, the first on top.
func (d *Draft) Fields() []Field { return d.fields }

// Body gives the body and its size.
func (d *Draft) Body() (io.ReaderAt, int64) { return d.body, d.bodySize }

// Apply makes changes in their order. Those that cannot be made are left out and counted. The error is ErrHeader: then some
// were made.
func (d *Draft) Apply(changes []Change) (left int, err error) {
	for _, c := range changes {
		if !c.good() {
			left++
			continue
		}
		switch c.Verb {
		case Add:
			d.insert(len(d.fields), c)
		case Insert:
			d.insert(min(max(c.Index, 0), len(d.fields)), c)
		case Set:
			d.set(c)
		case Remove:
			d.remove(c)
		}
		if d.size > MaxHeader {
			return left, ErrHeader
		}
	}
	return left, nil
}

func (d *Draft) insert(at int, c Change) {
	f := newField(c.text())
	if at > 0 && !bytes.HasSuffix(d.fields[at-1].text, []byte{'\n'}) { // a header that ends without a line end
		d.fields[at-1].text = append(slices.Clone(d.fields[at-1].text), '\r', '\n')
		d.size += 2
	}
	d.fields = slices.Insert(d.fields, at, f)
	if d.gap == nil {
		d.gap = []byte("\r\n") // there was no header, or nothing else
		d.size += 2
	}
	d.size += len(f.text)
	d.Changed = true
}

func (d *Draft) set(c Change) {
	at := d.find(c.Name, max(c.Index, 1))
	switch {
	case at < 0 && c.Value != "":
		d.insert(len(d.fields), c)
	case at >= 0 && c.Value != "":
		f := newField(c.text())
		d.size += len(f.text) - len(d.fields[at].text)
		d.fields[at] = f
		d.Changed = true
	case at >= 0:
		d.cut(at)
	}
}

func (d *Draft) remove(c Change) {
	if c.Index != 0 {
		if at := d.find(c.Name, c.Index); at >= 0 {
			d.cut(at)
		}
		return
	}
	for at := d.find(c.Name, 1); at >= 0; at = d.find(c.Name, 1) {
		d.cut(at)
	}
}

func (d *Draft) cut(at int) {
	d.size -= len(d.fields[at].text)
	d.fields = slices.Delete(d.fields, at, at+1)
	d.Changed = true
}

// find gives where the field of a name is that is the index-th of it, from 1 on, or from -1 upwards; -1 without.
func (d *Draft) find(name string, index int) int {
	var at []int
	for i, f := range d.fields {
		if equalFold(f.Name, name) {
			at = append(at, i)
		}
	}
	if index < 0 {
		index += len(at) + 1
	}
	if index < 1 || index > len(at) {
		return -1
	}
	return at[index-1]
}

// Replace puts another body in place of the body.
func (d *Draft) Replace(body []byte) {
	d.body, d.bodySize, d.Changed = bytes.NewReader(body), int64(len(body)), true
	if len(d.gap) == 0 {
		d.gap = []byte("\r\n")
		d.size += 2
	}
}

// Text gives the message as it is now, with its size and that of its header.
func (d *Draft) Text() (text io.ReaderAt, size, headerSize int64) {
	header := make([]byte, 0, d.size)
	for _, f := range d.fields {
		header = append(header, f.text...)
	}
	header = append(header, d.gap...)
	return joined{header, d.body, d.bodySize}, int64(len(header)) + d.bodySize, int64(len(header))
}

// joined is a header in front of a body.
type joined struct {
	header []byte
	body   io.ReaderAt
	size   int64 // of the body
}

// ReadAt implements io.ReaderAt.
func (j joined) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read a message at %d", off)
	}
	if off < int64(len(j.header)) {
		n = copy(p, j.header[off:])
		if n == len(p) {
			return n, nil
		}
	}
	at := off + int64(n) - int64(len(j.header))
	if at >= j.size {
		return n, io.EOF
	}
	end := false
	rest := p[n:]
	if int64(len(rest)) > j.size-at {
		rest, end = rest[:j.size-at], true
	}
	m, err := j.body.ReadAt(rest, at)
	if m == len(rest) {
		err = nil
		if end {
			err = io.EOF
		}
	}
	return n + m, err
}
