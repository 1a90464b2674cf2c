package message

import (
	"bytes"

	"github.com/rookery-mail/rookery/index/indexpb"
)

// flushField reads the field that was collected.
func (p *Parser) flushField() {
	h := &p.header
	f := h.current
	if f == fieldNone {
		return
	}
	value := bytes.Trim(h.value, " \t")
	if f < fieldContentType {
		p.takeEnvelopeField(f, value)
	} else {
		p.takeContentField(f, value)
	}
	h.current, h.value = fieldNone, h.value[:0]
}

// takeContentField reads a Content field (RFC 2045, sections 5 to 8; RFC 2183; RFC 3282; RFC 2557).
func (p *Parser) takeContentField(f field, value []byte) {
	part := p.frames[len(p.frames)-1].part
	switch f {
	case fieldContentType:
		p.takeContentType(part, value)
	case fieldContentDisposition:
		l := lexer{b: value}
		l.skip()
		if t := l.until(endsToken); len(t) > 0 && fits(&p.keep.structure, len(t)) {
			part.Disposition = p.keep.lower(t)
			part.DispositionParams = p.takeParams(&l, nil)
		}
	case fieldContentEncoding:
		l := lexer{b: value}
		l.skip()
		if t := l.until(endsToken); len(t) > 0 && fits(&p.keep.structure, len(t)) {
			part.Encoding = p.keep.lower(t)
		}
	case fieldContentLanguage:
		p.takeLanguages(part, value)
	case fieldContentID:
		part.Id = p.keep.detail(value)
	case fieldContentDescription:
		part.Description = p.keep.detail(value)
	case fieldContentMD5:
		part.Md5 = p.keep.detail(value)
	case fieldContentLocation:
		part.Location = p.keep.detail(value)
	}
}

// takeContentType reads Content-Type. One that cannot be read counts as not there, which makes the part
// text/plain (RFC 2045, section 5.2).
func (p *Parser) takeContentType(part *indexpb.Part, value []byte) {
	l := lexer{b: value}
	l.skip()
	typ := l.until(endsToken)
	l.skip()
	if len(typ) == 0 || !l.take('/') {
		return
	}
	l.skip()
	subtype := l.until(endsToken)
	if len(subtype) == 0 || !fits(&p.keep.structure, len(typ)+len(subtype)) {
		return
	}
	part.Type, part.Subtype = p.keep.lower(typ), p.keep.lower(subtype)
	h := &p.header
	part.Params = p.takeParams(&l, &h.boundary)
	if len(h.boundary) == 0 {
		if b, ok := ParamValue(part.Params, "boundary"); ok { // in pieces, RFC 2231
			h.boundary = append(h.boundary, b...)
		}
	}
	h.boundary = bytes.TrimRight(h.boundary, " \t")
}

// takeParams reads "; name=value" up to the end, with the names in lower case and the values without
// their quotes; parts of RFC 2231 stay as they are. The value of the first "boundary" is copied to
// boundary, unless that is nil, whether or not there is room to keep it.
func (p *Parser) takeParams(l *lexer, boundary *[]byte) []*indexpb.Param {
	var params []*indexpb.Param
	var scratch [128]byte
	for l.i < len(l.b) {
		l.skip()
		if l.take(';') {
			continue
		}
		name := l.until(endsToken)
		l.skip()
		if len(name) == 0 || !l.take('=') {
			// What is no parameter is passed over, with what it may have as a value.
			if len(name) == 0 && l.i < len(l.b) {
				l.i++
			}
			continue
		}
		l.skip()
		value, quoted := l.quoted(scratch[:0])
		if !quoted {
			value = l.until(endsValue)
		}
		if boundary != nil && len(*boundary) == 0 && bytes.EqualFold(name, []byte("boundary")) {
			*boundary = append(*boundary, value[:min(len(value), maxBoundary+1)]...)
		}
		if fits(&p.keep.structure, len(name)+len(value)+overhead) {
			params = append(params, &indexpb.Param{Name: p.keep.lower(name), Value: p.keep.copy(value)})
		}
	}
	return params
}

func (p *Parser) takeLanguages(part *indexpb.Part, value []byte) {
	l := lexer{b: value}
	for l.i < len(l.b) {
		l.skip()
		if t := l.until(endsToken); len(t) == 0 {
			l.i++
		} else if fits(&p.keep.structure, len(t)+overhead) {
			part.Language = append(part.Language, p.keep.copy(t))
		}
	}
}

// endsToken tells what cannot be in the token of a MIME field. It lets through more than RFC 2045 does,
// since nothing is gained by refusing a type for an odd character.
func endsToken(c byte) bool {
	switch c {
	case ' ', '\t', '(', ')', '"', ',', ';', '/', '=':
		return true
	}
	return false
}

// endsValue tells what ends a parameter's value that is not quoted.
func endsValue(c byte) bool { return c == ';' || c == ' ' || c == '\t' }
