package mailstore

import (
	"crypto/sha256"

	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
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

// dedupKey is what makes two deliveries the same: message, envelope recipient and content. A target
// without address is never found to be delivered before.
func dedupKey(messageID, address string, hash []byte) []byte {
	if address == "" {
		return nil
	}
	h := sha256.New()
	h.Write([]byte("rookery delivery 1\x00"))
	h.Write([]byte(messageID))
	h.Write([]byte{0})
	h.Write(foldASCII(address))
	h.Write([]byte{0})
	h.Write(hash)
	return h.Sum(nil)[:keys.DedupKeySize]
}

func foldASCII(s string) []byte {
	out := []byte(s)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}
