package engine

import (
	"context"

	"github.com/rookery-mail/rookery/imapd/view"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
)

// selectMailbox is SELECT and EXAMINE (RFC 9051, sections 6.3.2 and 6.3.3).
func (s *Session) selectMailbox(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Select)
	if a.QResync != nil && !s.enabled.qresync {
		return bad("enable QRESYNC first"), nil
	}
	if s.box != nil {
		s.w.Raw("* OK [CLOSED] previous mailbox is closed\r\n")
	}
	s.deselect()
	if a.CondStore {
		s.useCondStore()
	}
	p, err := s.need(ctx, a.Mailbox, index.RightRead)
	if err != nil {
		return reply{}, err
	}
	box, err := p.account.Open(ctx, p.name)
	if err != nil {
		return reply{}, err
	}
	s.attend(p) // before the view, or a change between the two would go unheard
	v, err := box.View(ctx)
	if err != nil {
		s.deselect()
		return reply{}, err
	}
	v.Mailbox = p.shown(v.Mailbox)
	s.box, s.name, s.readOnly, s.state = box, a.Mailbox, a.ReadOnly, selected
	s.view = view.New(v.UIDs, v.Mailbox.UIDNext, v.Mailbox.HighestModSeq)
	s.keywords, s.keyResets = len(v.Mailbox.Keywords), v.Mailbox.KeyResets
	if s.notify != nil {
		s.notify.fetched = s.view.Top()
	}
	s.describe(v)
	if a.QResync != nil {
		if err := s.resync(ctx, v, a.QResync); err != nil {
			return reply{}, err
		}
	}
	if a.ReadOnly || p.rights&changing == 0 {
		return ok("READ-ONLY", cmd.Name+" completed"), nil
	}
	return ok("READ-WRITE", "SELECT completed"), nil
}

// describe writes what SELECT tells of a mailbox.
func (s *Session) describe(v access.View) {
	m := v.Mailbox
	flags := append(systemFlags(), m.Keywords...)
	s.w.Raw("* FLAGS ")
	s.w.Flags(flags)
	s.w.CRLF()
	s.permanentFlags(m.Keywords)
	s.w.NumberLine(s.view.Len(), "EXISTS")
	if !s.enabled.rev2 {
		s.w.Raw("* 0 RECENT\r\n")
		if n := s.view.Seq(v.FirstUnseen); n != 0 && !s.enabled.uidOnly {
			s.codeNumber("UNSEEN", uint64(n), "first unseen")
		}
	}
	s.codeNumber("UIDVALIDITY", uint64(m.UIDValidity), "UIDs are valid")
	s.codeNumber("UIDNEXT", uint64(m.UIDNext), "next UID")
	s.tellModSeq(m.HighestModSeq)
	s.w.Raw("* OK [MAILBOXID")
	s.writeID(s.mailboxID(m))
	s.w.Raw("] its name for ever\r\n")
	if s.signs() {
		s.w.StatusLine("*", wire.OK, codeURLMech, "URLs can be signed")
	}
	if s.enabled.rev2 {
		s.w.List(wire.ListLine{Name: "LIST", Delimiter: '/', Mailbox: m.Name})
	}
}

// codeNumber writes an untagged OK with a code and its number.
func (s *Session) codeNumber(code string, n uint64, text string) {
	s.w.Raw("* OK [")
	s.w.Raw(code)
	s.w.Byte(' ')
	s.w.Num(n)
	s.w.Raw("] ")
	s.w.Raw(text)
	s.w.CRLF()
}

// close is CLOSE: it expunges without telling, unless the mailbox is read-only (RFC 9051, section 6.4.1).
func (s *Session) close(ctx context.Context, _ *wire.Command) (reply, error) {
	if !s.readOnly && s.may(index.RightExpunge) {
		if _, err := s.box.Expunge(ctx, nil); err != nil {
			return reply{}, err
		}
	}
	s.deselect()
	return reply{}, nil
}

// unselect is UNSELECT (RFC 9051, section 6.4.2).
func (s *Session) unselect(context.Context, *wire.Command) (reply, error) {
	s.deselect()
	return reply{}, nil
}
