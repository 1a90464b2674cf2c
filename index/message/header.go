package message

import (
	"bytes"

	"github.com/rookery-mail/rookery/index/indexpb"
)

// field names the fields that are looked at.
type field uint8

const (
	fieldNone field = iota
	fieldDate
	fieldSubject
	fieldFrom
	fieldSender
	fieldReplyTo
	fieldTo
	fieldCc
	fieldBcc
	fieldInReplyTo
	fieldMessageID
	fieldContentType
	fieldContentEncoding
	fieldContentID
	fieldContentDescription
	fieldContentDisposition
	fieldContentMD5
	fieldContentLanguage
	fieldContentLocation
)

// header is the reading of one header.
type header struct {
	start    uint64            // its offset
	envelope *indexpb.Envelope // to be filled in; nil for the header of a part that is no message
	seen     uint32            // a bit for each field that was there; the first one counts
	current  field             // whose lines are being collected
	value    []byte            // what was collected, unfolded
	boundary []byte            // of Content-Type
}

func (h *header) reset(start uint64, envelope *indexpb.Envelope) {
	*h = header{start: start, envelope: envelope, value: h.value[:0], boundary: h.boundary[:0]}
}

// maxFieldBytes is how much of one field, or of one line of it, is looked at.
const maxFieldBytes = 128 << 10

// readHeader takes one line of a header, or holds its start, and gives what is left of b.
func (p *Parser) readHeader(b []byte) []byte {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		p.hold(b)
		return nil
	}
	line, eol := b[:i], 1
	size := p.heldLen + uint64(i) + 1
	before := p.heldLast
	if i > 0 {
		before = b[i-1]
	}
	if before == '\r' && size > 1 {
		eol = 2
	}
	if p.heldLen > 0 {
		p.hold(line)
		line = p.held
		p.heldLen, p.heldLast = 0, 0
	}
	if n := size - uint64(eol); n < uint64(len(line)) {
		line = line[:n]
	}
	p.headerLine(line[:min(len(line), maxFieldBytes)], size, eol)
	return b[i+1:]
}

// hold keeps the start of a header line that is not complete.
func (p *Parser) hold(b []byte) {
	if len(b) == 0 {
		return
	}
	if p.heldLen == 0 {
		p.held = p.held[:0]
	}
	p.held = append(p.held, b[:min(len(b), maxFieldBytes+1-len(p.held))]...)
	p.heldLen += uint64(len(b))
	p.heldLast = b[len(b)-1]
}

// headerLine reads the line at off in a header: its octets without the line end, cut at maxFieldBytes;
// its size with the line end, and how many octets of that are the line end (0 at the end of the
// message).
func (p *Parser) headerLine(line []byte, size uint64, eol int) {
	if d, ok := p.match(line); ok {
		p.delimit(d)
		p.passLine(size, eol)
		if p.state == inDelimiter && eol > 0 {
			p.begin()
		}
		return
	}
	switch {
	case len(line) == 0:
		p.passLine(size, eol)
		p.endHeader()
	case p.takeField(line):
		p.passLine(size, eol)
	default:
		// Neither field nor continuation: like other mail systems we take it for the start of a body
		// whose empty line is missing.
		p.endHeader()
		if p.state == inHeader {
			p.headerLine(line, size, eol)
			return
		}
		p.passLine(size, eol)
	}
}

// passLine counts a line whose octets are not at hand.
func (p *Parser) passLine(size uint64, eol int) {
	p.off += size
	p.prev, p.last = 0, 0
	if eol > 0 {
		p.lines++
		p.last = '\n'
	}
	if eol == 2 {
		p.prev = '\r'
	}
}

// takeField reads a line as the start or the continuation of a field, or tells that it is neither.
func (p *Parser) takeField(line []byte) bool {
	h := &p.header
	first := p.off == h.start
	if line[0] == ' ' || line[0] == '\t' {
		if first {
			return false
		}
		h.collect(line)
		return true
	}
	name, value, ok := splitField(line)
	if !ok {
		return first && h.envelope != nil && isMboxLine(line)
	}
	p.flushField()
	f := fieldOf(name)
	if f == fieldNone || h.seen&(1<<f) != 0 || (f < fieldContentType && h.envelope == nil) {
		return true
	}
	h.seen |= 1 << f
	h.current = f
	h.collect(value)
	return true
}

// collect adds a line to the field being collected. What IMAP cannot carry becomes a space.
func (h *header) collect(line []byte) {
	if h.current == fieldNone {
		return
	}
	start := len(h.value)
	h.value = append(h.value, line[:min(len(line), maxFieldBytes-start)]...)
	for i, c := range h.value[start:] {
		if c == 0 || c == '\r' {
			h.value[start+i] = ' '
		}
	}
}

// splitField splits "name: value". A name is of visible ASCII characters (RFC 5322, section 3.6.8);
// white space between it and the colon is obsolete, but allowed (section 4.5).
func splitField(line []byte) (name, value []byte, ok bool) {
	for i, c := range line {
		if c == ':' && i > 0 {
			return line[:i], line[i+1:], true
		}
		if c > ' ' && c < 0x7f && c != ':' {
			continue
		}
		rest := bytes.TrimLeft(line[i:], " \t")
		if i > 0 && len(rest) > 0 && rest[0] == ':' {
			return line[:i], rest[1:], true
		}
		break
	}
	return nil, nil, false
}

// isMboxLine tells whether a line is what mbox files put in front of a message.
func isMboxLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}

// fieldOf finds a field by its name in any case.
func fieldOf(name []byte) field {
	var buf [len("content-transfer-encoding")]byte
	if len(name) > len(buf) {
		return fieldNone
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	switch string(buf[:len(name)]) {
	case "date":
		return fieldDate
	case "subject":
		return fieldSubject
	case "from":
		return fieldFrom
	case "sender":
		return fieldSender
	case "reply-to":
		return fieldReplyTo
	case "to":
		return fieldTo
	case "cc":
		return fieldCc
	case "bcc":
		return fieldBcc
	case "in-reply-to":
		return fieldInReplyTo
	case "message-id":
		return fieldMessageID
	case "content-type":
		return fieldContentType
	case "content-transfer-encoding":
		return fieldContentEncoding
	case "content-id":
		return fieldContentID
	case "content-description":
		return fieldContentDescription
	case "content-disposition":
		return fieldContentDisposition
	case "content-md5":
		return fieldContentMD5
	case "content-language":
		return fieldContentLanguage
	case "content-location":
		return fieldContentLocation
	}
	return fieldNone
}
