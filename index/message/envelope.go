package message

import (
	"bytes"
	"time"

	"github.com/rookery-mail/rookery/index/indexpb"
)

// takeEnvelopeField keeps a field of the ENVELOPE (RFC 9051, section 7.5.2).
func (p *Parser) takeEnvelopeField(f field, value []byte) {
	e := p.header.envelope
	switch f {
	case fieldDate:
		e.Date = p.keep.text(value)
		if e == p.parsed.Envelope {
			p.parsed.SentDate = readableDate(value)
		}
	case fieldSubject:
		e.Subject = p.keep.text(value)
	case fieldInReplyTo:
		e.InReplyTo = p.keep.text(value)
	case fieldMessageID:
		e.MessageId = p.keep.text(value)
		if e == p.parsed.Envelope {
			p.parsed.MessageID = firstID(value)
		}
	case fieldFrom:
		e.From = p.addresses(value)
	case fieldSender:
		e.Sender = p.addresses(value)
	case fieldReplyTo:
		e.ReplyTo = p.addresses(value)
	case fieldTo:
		e.To = p.addresses(value)
	case fieldCc:
		e.Cc = p.addresses(value)
	case fieldBcc:
		e.Bcc = p.addresses(value)
	}
}

func (p *Parser) addresses(value []byte) []*indexpb.Address {
	a := addressParser{lexer: lexer{b: value}, keep: &p.keep}
	return a.list()
}

// readableDate reads a date, or gives the zero time.
func readableDate(value []byte) time.Time {
	t, ok := ParseDate(value)
	if !ok {
		return time.Time{}
	}
	return t
}

// maxMessageID is the longest Message-ID that is told, in octets: as long as a line may be.
const maxMessageID = 998

// firstID gives the first "<…>" of a field.
func firstID(value []byte) string {
	start := bytes.IndexByte(value, '<')
	if start < 0 {
		return ""
	}
	end := bytes.IndexByte(value[start:], '>')
	if end < 0 || end > maxMessageID {
		return ""
	}
	return string(value[start : start+end+1])
}
