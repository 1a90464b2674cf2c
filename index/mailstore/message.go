package mailstore

import (
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// newMessage tells a summary. The result shares its memory.
func newMessage(u index.UID, state index.FlagState, s *indexpb.Summary) Message {
	m := Message{
		UID: u, State: state, Size: s.Size, HeaderSize: s.HeaderSize, BodyID: index.BodyID(s.BodyId),
		InternalDate: time.UnixMilli(s.InternalDate).UTC(), SaveDate: time.UnixMilli(s.SaveDate).UTC(),
		SentZone: int(s.SentZone), EncodedEnvelope: s.Envelope, EncodedStructure: s.Structure,
	}
	if s.SentDate != 0 {
		m.SentDate = time.UnixMilli(s.SentDate).UTC()
	}
	return m
}

// plainStructure is the structure of a message that is told as one text.
func plainStructure(size, header uint64) *indexpb.Part {
	return &indexpb.Part{Type: []byte("text"), Subtype: []byte("plain"), BodyOffset: header, BodyLength: size - header}
}
