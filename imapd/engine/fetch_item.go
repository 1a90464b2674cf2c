package engine

import (
	"io"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
)

// fetchedMessage is a message while FETCH tells it.
type fetchedMessage struct {
	*access.Message
	body      access.Body   // nil where no item needs it
	structure *indexpb.Part // decoded when first needed
}

func (d *fetchedMessage) parts() *indexpb.Part {
	if d.structure == nil {
		d.structure = d.Structure()
	}
	return d.structure
}

// item writes one data item.
func (f *fetching) item(d *fetchedMessage, item *wire.FetchItem) error {
	switch item.Kind {
	case wire.FetchInternalDate:
		f.w.Raw("INTERNALDATE ")
		f.w.DateTime(d.InternalDate)
	case wire.FetchSaveDate:
		f.w.Raw("SAVEDATE ")
		f.w.DateTime(d.SaveDate)
	case wire.FetchSize:
		f.w.Raw("RFC822.SIZE ")
		f.w.Num(d.Size)
	case wire.FetchEnvelope:
		f.w.Raw("ENVELOPE ")
		f.w.Envelope(d.Envelope())
	case wire.FetchBody:
		f.w.Raw("BODY ")
		f.w.BodyStructure(d.parts(), false)
	case wire.FetchBodyStructure:
		f.w.Raw("BODYSTRUCTURE ")
		f.w.BodyStructure(d.parts(), true)
	case wire.FetchPreview:
		text, err := d.preview()
		if err != nil {
			return err
		}
		f.w.Raw("PREVIEW ")
		f.w.String([]byte(text))
	case wire.FetchEmailID:
		f.w.Raw("EMAILID")
		f.writeID(emailID(d.BodyID))
	case wire.FetchThreadID:
		f.w.Raw("THREADID NIL")
	case wire.FetchRFC822:
		f.w.Raw("RFC822 ")
		return f.octets(d, span{0, d.body.Size()}, &wire.FetchItem{})
	case wire.FetchRFC822Header:
		f.w.Raw("RFC822.HEADER ")
		return f.octets(d, d.section(wire.Section{Specifier: wire.Header}), &wire.FetchItem{})
	case wire.FetchRFC822Text:
		f.w.Raw("RFC822.TEXT ")
		return f.octets(d, d.section(wire.Section{Specifier: wire.Text}), &wire.FetchItem{})
	case wire.FetchSection:
		return f.section(d, item)
	case wire.FetchBinary:
		return f.binary(d, item)
	case wire.FetchBinarySize:
		return f.binarySize(d, item)
	}
	return nil
}

// head writes the name of a section item as it is echoed.
func (f *fetching) head(name string, item *wire.FetchItem) {
	f.w.Raw(name)
	f.w.Section(item.Section)
	if item.Partial {
		f.w.Byte('<')
		f.w.Num(item.Offset)
		f.w.Byte('>')
	}
	f.w.Byte(' ')
}

// section writes BODY[…].
func (f *fetching) section(d *fetchedMessage, item *wire.FetchItem) error {
	f.head("BODY", item)
	at := d.section(item.Section)
	if at.off < 0 {
		f.w.Raw("NIL")
		return nil
	}
	if len(item.Section.Fields) > 0 {
		return f.fields(d, at, item)
	}
	return f.octets(d, at, item)
}

// octets writes a span of the message as a literal, cut to the item's partial.
func (f *fetching) octets(d *fetchedMessage, at span, item *wire.FetchItem) error {
	at = at.cut(item)
	f.w.LiteralHead(at.n, false)
	return f.w.Copy(io.NewSectionReader(d.body, at.off, at.n), at.n)
}

// span is a stretch of a message's octets; off is negative where there is none.
type span struct{ off, n int64 }

// cut takes the partial of an item.
func (s span) cut(item *wire.FetchItem) span {
	if !item.Partial {
		return s
	}
	if item.Offset >= uint64(s.n) {
		return span{s.off, 0}
	}
	return span{s.off + int64(item.Offset), min(s.n-int64(item.Offset), int64(item.Count))}
}

// section finds the octets of a section; for HEADER.FIELDS the whole header (RFC 9051, section 6.4.5.1).
func (d *fetchedMessage) section(sec wire.Section) span {
	size, header := d.body.Size(), int64(d.HeaderSize)
	if header > size {
		header = size
	}
	if len(sec.Part) == 0 {
		switch sec.Specifier {
		case wire.Whole:
			return span{0, size}
		case wire.Text:
			return span{header, size - header}
		}
		return span{0, header}
	}
	p, ok := message.FindPart(d.parts(), sec.Part)
	if !ok {
		return span{off: -1}
	}
	body := bounded(int64(p.BodyOffset), int64(p.BodyOffset+p.BodyLength), size)
	switch sec.Specifier {
	case wire.Whole:
		return body
	case wire.MIME:
		return bounded(int64(p.HeaderOffset), int64(p.BodyOffset), size)
	}
	if string(p.Type) != "message" || len(p.Children) != 1 {
		return span{off: -1}
	}
	inner := p.Children[0]
	if sec.Specifier == wire.Text {
		return bounded(int64(inner.BodyOffset), body.off+body.n, size)
	}
	return bounded(int64(inner.HeaderOffset), int64(inner.BodyOffset), size)
}

// bounded keeps a span inside the message, whatever the structure says.
func bounded(from, to, size int64) span {
	from = max(0, min(from, size))
	return span{from, max(0, min(to, size)-from)}
}

// keptHeader is the largest header that is filtered in memory; a larger one is read twice.
const keptHeader = 64 << 10

// fields writes BODY[HEADER.FIELDS …].
func (f *fetching) fields(d *fetchedMessage, at span, item *wire.FetchItem) error {
	filter := newFieldFilter(item.Section)
	if f.lines == nil {
		f.lines = message.NewLines()
	}
	header := func() io.Reader { return io.NewSectionReader(d.body, at.off, at.n) }
	var n int64
	small := at.n <= keptHeader
	if small {
		f.kept.Reset()
		if err := filter.copy(&f.kept, header(), f.lines); err != nil {
			return err
		}
		n = int64(f.kept.Len())
	} else {
		var count counter
		if err := filter.copy(&count, header(), f.lines); err != nil {
			return err
		}
		n = int64(count)
	}
	part := span{0, n}.cut(item)
	f.w.LiteralHead(part.n, false)
	if small {
		f.w.Bytes(f.kept.Bytes()[part.off : part.off+part.n])
		return nil
	}
	to := &window{w: f.w, skip: part.off, left: part.n}
	if err := filter.copy(to, header(), f.lines); err != nil {
		return err
	}
	return to.done()
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// window passes on a stretch of what is written to it.
type window struct {
	w          *wire.Writer
	skip, left int64
}

func (w *window) Write(p []byte) (int, error) {
	n := len(p)
	if cut := min(w.skip, int64(len(p))); cut > 0 {
		w.skip -= cut
		p = p[cut:]
	}
	p = p[:min(w.left, int64(len(p)))]
	w.left -= int64(len(p))
	w.w.Bytes(p)
	return n, w.w.Err()
}

// done checks that all that was announced came.
func (w *window) done() error {
	if w.left > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}
