package message

import (
	"bytes"

	"github.com/rookery-mail/rookery/index/indexpb"
)

// frame is an open part.
type frame struct {
	part     *indexpb.Part
	boundary []byte // of a multipart that is not closed yet; nil else
	lines    uint64 // LFs before the body
	multi    bool   // a multipart
	digest   bool   // whose parts are messages where they say nothing (RFC 2046, section 5.1.5)
	message  bool   // whose only child is the message it holds
}

// maxBoundary is the longest boundary that is looked for, in octets. RFC 2046 allows 70.
const maxBoundary = 512

// full tells that no more parts are told apart.
func (p *Parser) full() bool { return p.parts >= p.limits.MaxParts }

// begin opens a part whose header starts at off.
func (p *Parser) begin() {
	part := &indexpb.Part{HeaderOffset: p.off}
	envelope := (*indexpb.Envelope)(nil)
	if n := len(p.frames); n == 0 {
		envelope = &indexpb.Envelope{}
		p.parsed.Envelope = envelope
	} else {
		parent := p.frames[n-1].part
		parent.Children = append(parent.Children, part)
		if p.frames[n-1].message {
			envelope = &indexpb.Envelope{}
			parent.Envelope = envelope
		}
	}
	p.frames = append(p.frames, frame{part: part})
	p.parts++
	p.state = inHeader
	p.header.reset(p.off, envelope)
}

// endHeader ends the header of the innermost part; its body starts at off.
func (p *Parser) endHeader() {
	p.flushField()
	f := &p.frames[len(p.frames)-1]
	part := f.part
	part.BodyOffset = p.off
	f.lines = p.lines
	p.state = inBody
	if part.Type == nil {
		p.setType(part, "text", "plain")
		if n := len(p.frames); n > 1 && p.frames[n-2].digest {
			p.setType(part, "message", "rfc822")
		}
	}
	switch {
	case string(part.Type) == "multipart":
		p.openMultipart(f)
	case isMessage(part):
		p.openMessage(f)
	}
}

func (p *Parser) openMultipart(f *frame) {
	switch boundary := p.header.boundary; {
	case len(p.frames) > p.limits.MaxDepth || p.full():
		p.setLeaf(f.part, "application", "octet-stream")
	case len(boundary) == 0 || len(boundary) > maxBoundary:
		p.setLeaf(f.part, "text", "plain")
	default:
		f.multi = true
		f.digest = string(f.part.Subtype) == "digest"
		f.boundary = bytes.Clone(boundary)
		p.measure()
	}
}

func (p *Parser) openMessage(f *frame) {
	if len(p.frames) > p.limits.MaxDepth || p.full() || !identity(f.part.Encoding) {
		// A client is promised an envelope for a message. Where we cannot look inside, it is data.
		p.setLeaf(f.part, "application", "octet-stream")
		return
	}
	f.message = true
	p.begin()
}

// isMessage tells whether a part holds a message that MIME lets us look into (RFC 2046, section 5.2.1;
// RFC 6532, section 3.7).
func isMessage(part *indexpb.Part) bool {
	if string(part.Type) != "message" {
		return false
	}
	subtype := string(part.Subtype)
	return subtype == "rfc822" || subtype == "global"
}

// identity tells whether a transfer encoding leaves the octets as they are.
func identity(encoding []byte) bool {
	switch string(encoding) {
	case "", "7bit", "8bit", "binary":
		return true
	}
	return false
}

func (p *Parser) setType(part *indexpb.Part, typ, subtype string) {
	part.Type = p.keep.copy([]byte(typ))
	part.Subtype = p.keep.copy([]byte(subtype))
}

// setLeaf makes a leaf of a part that said it is more. Its parameters belong to what it is not.
func (p *Parser) setLeaf(part *indexpb.Part, typ, subtype string) {
	p.setType(part, typ, subtype)
	part.Params = nil
}

// measure finds the longest open boundary.
func (p *Parser) measure() {
	p.longest = 0
	for i := range p.frames {
		p.longest = max(p.longest, len(p.frames[i].boundary))
	}
}

// closeFrom closes the open parts from the n-th on, innermost first. Their bodies end at end, before
// which there are so many LFs.
//
// Invariant: a part ends where its last child ends, or later. A part without a body may thus take in
// the line end of the delimiter that cut it off.
func (p *Parser) closeFrom(n int, end, lines uint64) {
	for i := len(p.frames) - 1; i >= n; i-- {
		f := &p.frames[i]
		if i == len(p.frames)-1 && p.state == inHeader {
			p.cutHeader(f)
		}
		part := f.part
		if start := part.BodyOffset; start > end {
			end, lines = start, f.lines
		}
		part.BodyLength = end - part.BodyOffset
		part.Lines = lines - f.lines
		if f.multi && len(part.Children) == 0 {
			p.setLeaf(part, "text", "plain") // no delimiter came: nothing but text
		}
	}
	p.frames = p.frames[:n]
}

// cutHeader ends a header that no empty line ended. There is no body to look into.
func (p *Parser) cutHeader(f *frame) {
	p.flushField()
	p.state = inBody
	f.part.BodyOffset = p.off
	f.lines = p.lines
	switch {
	case f.part.Type == nil, string(f.part.Type) == "multipart":
		p.setLeaf(f.part, "text", "plain")
	case isMessage(f.part):
		p.setLeaf(f.part, "application", "octet-stream")
	}
}
