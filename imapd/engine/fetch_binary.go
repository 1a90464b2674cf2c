package engine

import (
	"bytes"
	"io"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/message"
)

// decoded gives the octets of a part without its transfer encoding, each time anew. It is not ok where
// there is no such part, and unknown where its encoding cannot be undone (RFC 9051, section 6.4.5).
func (d *fetchedMessage) decoded(part []int) (open func() io.Reader, unknown, ok bool) {
	at := d.section(wire.Section{Part: part})
	if at.off < 0 {
		return nil, false, false
	}
	raw := func() io.Reader { return io.NewSectionReader(d.body, at.off, at.n) }
	if len(part) == 0 {
		return raw, false, true
	}
	p, _ := message.FindPart(d.parts(), part)
	encoding := string(p.Encoding)
	if string(p.Type) == "multipart" {
		encoding = ""
	}
	if !message.KnownEncoding(encoding) {
		return nil, true, true
	}
	return func() io.Reader { return message.DecodeTransfer(encoding, raw()) }, false, true
}

// binary writes BINARY[…]: a literal8 where the octets hold NUL.
func (f *fetching) binary(d *fetchedMessage, item *wire.FetchItem) error {
	open, unknown, ok := d.decoded(item.Section.Part)
	f.head("BINARY", item)
	if !ok || unknown {
		f.unknownCTE = f.unknownCTE || unknown
		f.w.Raw("NIL")
		return nil
	}
	var seen nulCounter
	if _, err := io.Copy(&seen, open()); err != nil {
		return err
	}
	part := span{0, seen.n}.cut(item)
	f.w.LiteralHead(part.n, seen.nul)
	src := open()
	if _, err := io.CopyN(io.Discard, src, part.off); err != nil {
		return err
	}
	return f.w.Copy(src, part.n)
}

// binarySize writes BINARY.SIZE[…].
func (f *fetching) binarySize(d *fetchedMessage, item *wire.FetchItem) error {
	open, unknown, ok := d.decoded(item.Section.Part)
	f.head("BINARY.SIZE", item)
	if !ok || unknown {
		f.unknownCTE = f.unknownCTE || unknown
		f.w.Byte('0')
		return nil
	}
	var seen nulCounter
	if _, err := io.Copy(&seen, open()); err != nil {
		return err
	}
	f.w.Num(uint64(seen.n))
	return nil
}

// nulCounter counts octets and looks for NUL.
type nulCounter struct {
	n   int64
	nul bool
}

func (c *nulCounter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	c.nul = c.nul || bytes.IndexByte(p, 0) >= 0
	return len(p), nil
}
