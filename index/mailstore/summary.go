package mailstore

import (
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
)

// summarise makes the summary of a message whose dates and body are not known yet.
func summarise(p *message.Parsed, hash []byte) *indexpb.Summary {
	s := &indexpb.Summary{Size: p.Size, HeaderSize: p.HeaderSize, ContentHash: hash}
	if !p.SentDate.IsZero() {
		s.SentDate = p.SentDate.UnixMilli()
		_, offset := p.SentDate.Zone()
		s.SentZone = int32(offset / 60)
	}
	s.Envelope = encodeWithin(maxEnvelope, p.Envelope, &indexpb.Envelope{Subject: clip(p.Envelope.GetSubject())})
	s.Structure = encodeWithin(maxStructure, p.Structure, plainStructure(p.Size, p.HeaderSize))
	return s
}

// encodeWithin encodes full, or where that is above limit bytes, plain.
func encodeWithin(limit int, full, plain interface {
	SizeVT() int
	MarshalVT() ([]byte, error)
}) []byte {
	if full.SizeVT() > limit {
		full = plain
	}
	encoded, err := full.MarshalVT()
	if err != nil {
		return nil // read as an empty one
	}
	return encoded
}

func clip(text []byte) []byte { return text[:min(len(text), 1024)] }
