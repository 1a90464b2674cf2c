package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
)

// status is STATUS (RFC 9051, section 6.3.11).
func (s *Session) status(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Status)
	p, err := s.need(ctx, a.Mailbox, index.RightRead)
	if err != nil {
		return reply{}, err
	}
	m := p.mailbox
	if !p.shared {
		if m, err = p.account.Mailbox(ctx, p.name); err != nil {
			return reply{}, err
		}
	}
	freed, err := p.reclaimable(ctx, &m, a.Items)
	if err != nil {
		return reply{}, err
	}
	s.noteStatus(a.Items)
	s.tellStatus(m, a.Items, freed)
	return reply{}, nil
}

// statusOf gives what STATUS tells of a mailbox in LIST (RFC 5819): the octets that an EXPUNGE would free.
func (s *Session) statusOf(ctx context.Context, m *index.Mailbox, items []wire.StatusItem) (freed uint64, err error) {
	if !slices.Contains(items, wire.StatusDeletedStorage) || m.Deleted == 0 {
		return 0, nil
	}
	p, err := s.need(ctx, m.Name, index.RightRead)
	if err == nil {
		freed, err = p.reclaimable(ctx, m, items)
	}
	if errors.Is(err, index.ErrNoMailbox) { // it went since it was listed
		return 0, nil
	}
	return freed, err
}

// reclaimable is DELETED-STORAGE (RFC 9208, section 4.1.4): the octets of the messages that are \Deleted, where that
// is asked for. It costs as much as there are of them.
func (p *place) reclaimable(ctx context.Context, m *index.Mailbox, items []wire.StatusItem) (octets uint64, err error) {
	if !slices.Contains(items, wire.StatusDeletedStorage) || m.Deleted == 0 {
		return 0, nil
	}
	box, err := p.account.Open(ctx, p.name)
	if err != nil {
		return 0, err
	}
	deleted, err := box.Deleted(ctx)
	if err != nil {
		return 0, err
	}
	err = box.Messages(ctx, deleted, func(msg access.Message) error {
		octets += msg.Size
		return nil
	})
	return octets, err
}

// noteStatus turns CONDSTORE on where a STATUS asks for HIGHESTMODSEQ (RFC 7162, section 3.1).
func (s *Session) noteStatus(items []wire.StatusItem) {
	if slices.Contains(items, wire.StatusHighestModSeq) {
		s.useCondStore()
	}
}

// tellStatus writes a STATUS response. freed is what reclaimable said.
func (s *Session) tellStatus(m index.Mailbox, items []wire.StatusItem, freed uint64) {
	s.w.Raw("* STATUS ")
	s.w.MailboxName(m.Name)
	s.w.Raw(" (")
	for i, item := range items {
		if i > 0 {
			s.w.Byte(' ')
		}
		s.w.Raw(string(item))
		if item == wire.StatusMailboxID {
			s.writeID(s.mailboxID(m))
			continue
		}
		s.w.Byte(' ')
		if item == wire.StatusDeletedStorage {
			s.w.Num(freed)
			continue
		}
		s.w.Num(s.statusValue(m, item))
	}
	s.w.Raw(")\r\n")
}

func (s *Session) statusValue(m index.Mailbox, item wire.StatusItem) uint64 {
	switch item {
	case wire.StatusMessages:
		return uint64(m.Messages)
	case wire.StatusUIDNext:
		return uint64(m.UIDNext)
	case wire.StatusUIDValidity:
		return uint64(m.UIDValidity)
	case wire.StatusUnseen:
		return uint64(m.Unseen)
	case wire.StatusDeleted:
		return uint64(m.Deleted)
	case wire.StatusSize:
		return m.Bytes
	case wire.StatusHighestModSeq:
		return uint64(max(m.HighestModSeq, 1))
	case wire.StatusAppendLimit:
		return uint64(s.c.MaxMessage)
	}
	return 0 // RECENT, which is not kept
}
