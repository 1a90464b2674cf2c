package engine

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/rookery-mail/rookery/imapd/order"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/index/uidset"
)

// thread is THREAD (RFC 5256, section 3; REFS is of draft-ietf-morg-inthread).
func (s *Session) thread(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Thread)
	var arrange func([]order.Letter) []*order.Thread
	switch a.Algorithm {
	case "ORDEREDSUBJECT":
		arrange = order.OrderedSubject
	case "REFERENCES":
		arrange = order.References
	case "REFS":
		arrange = order.Refs
	default:
		return bad("unknown thread algorithm"), nil
	}
	found, err := s.matchingWhole(ctx, &a.Search, nil)
	if err != nil {
		return reply{}, err
	}
	letters, err := s.letters(ctx, found, a.Algorithm != "ORDEREDSUBJECT")
	if err != nil {
		return reply{}, err
	}
	s.w.Raw("* THREAD")
	if len(letters) > 0 {
		s.w.Byte(' ')
	}
	number := (&result{session: s, uid: cmd.UID}).number
	for _, t := range arrange(letters) {
		s.tellThread(t, number)
	}
	s.w.CRLF()
	return reply{}, nil
}

// letters reads what threading looks at. References are in no summary: their headers are opened.
func (s *Session) letters(ctx context.Context, found *uidset.Set, references bool) ([]order.Letter, error) {
	letters := make([]order.Letter, 0, found.Len())
	size := fetchBatch
	if references {
		size = bodyBatch
	}
	done := s.newProgress(found.Len())
	for batch := range found.Batches(size) {
		var err error
		if references {
			err = s.box.Bodies(ctx, batch, func(m access.Message, body access.Body) error {
				l := newLetter(&m)
				if err := done.step(); err != nil {
					return err
				}
				if err := refer(&l, &m, body); err != nil {
					return err
				}
				letters = append(letters, l)
				return nil
			})
		} else {
			err = s.box.Messages(ctx, batch, func(m access.Message) error {
				letters = append(letters, newLetter(&m))
				return nil
			})
		}
		if err != nil {
			return nil, err
		}
	}
	return letters, nil
}

func newLetter(m *access.Message) order.Letter {
	return order.Letter{UID: m.UID, Subject: bytes.Clone(m.Envelope().Subject), Sent: order.Sent(m), Arrived: m.InternalDate}
}

// refer fills in what a message is known by and what it answers: its References, as far as they are in the first
// 64 KiB of the header, or what In-Reply-To begins with.
func refer(l *order.Letter, m *access.Message, body access.Body) error {
	e := m.Envelope()
	if ids := message.MessageIDs(e.MessageId); len(ids) > 0 {
		l.ID = ids[0]
	}
	header := make([]byte, min(int64(m.HeaderSize), body.Size(), keptHeader))
	if n, err := body.ReadAt(header, 0); err != nil && !(errors.Is(err, io.EOF) && n == len(header)) {
		return err
	}
	value, _ := message.FieldValue(header, "References")
	l.References = message.MessageIDs(value)
	if ids := message.MessageIDs(e.InReplyTo); len(l.References) == 0 && len(ids) > 0 {
		l.References = ids[:1]
	}
	return nil
}

// tellThread writes a thread in parentheses: a row of answers, each to the one before, until one has
// several (RFC 5256, section 4).
func (s *Session) tellThread(t *order.Thread, number func(index.UID) uint32) {
	s.w.Byte('(')
	for first := true; ; first = false {
		if t.UID != 0 {
			if !first {
				s.w.Byte(' ')
			}
			s.w.Num(uint64(number(t.UID)))
		}
		if len(t.Children) != 1 {
			break
		}
		t = t.Children[0]
	}
	if len(t.Children) > 0 && t.UID != 0 {
		s.w.Byte(' ')
	}
	for _, c := range t.Children {
		s.tellThread(c, number)
	}
	s.w.Byte(')')
}
