package engine

import (
	"context"
	"slices"

	"github.com/rookery-mail/rookery/imapd/view"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/uidset"
)

// told is what the client already knows of its own changes: the messages of uids got their flags with
// modSeq, and it was told or needs no telling.
type told struct {
	uids   *uidset.Set
	modSeq index.ModSeq
}

// sync tells what changed in the selected mailbox since the client was told last. With uid, messages
// are named by UID as well (RFC 9051, section 6.4.9).
func (s *Session) sync(ctx context.Context, expunges, uid bool, known ...told) error {
	_, err := s.syncKnown(ctx, expunges, uid, known)
	return err
}

// syncKnown is sync, and returns the messages whose flags were told.
func (s *Session) syncKnown(ctx context.Context, expunges, uid bool, known []told) (*uidset.Set, error) {
	out := uidset.New()
	s.lookForChange()
	if !s.dirty && !(expunges && s.view.Gone(s.view.UIDs())) {
		return out, nil
	}
	s.dirty = false
	if err := s.recheck(ctx); err != nil {
		s.dirty = true
		return nil, err
	}
	ch, err := s.box.Changes(ctx, s.view.Since())
	if err != nil {
		s.dirty = true
		return nil, err
	}
	if s.at.name == index.Inbox && ch.Mailbox.Name != index.Inbox {
		return nil, errInboxRenamed
	}
	s.tellKeywords(ch.Mailbox)
	s.tellURLMech(ch.Mailbox)
	if expunges && len(s.contexts) > 0 {
		s.leave(s.view.Leaving(ch))
	}
	up := s.view.Advance(ch, expunges)
	switch {
	case up.Expunges == nil:
	case s.enabled.qresync, s.enabled.uidOnly: // RFC 9586, section 3.4
		s.w.Vanished(false, uidRanges(up.Expunged))
	default:
		for n := range up.Expunges {
			s.w.NumberLine(n, "EXPUNGE")
		}
	}
	if up.Exists {
		s.w.NumberLine(s.view.Len(), "EXISTS")
		if !s.enabled.rev2 {
			s.w.Raw("* 0 RECENT\r\n")
		}
	}
	for _, c := range up.Changed {
		if slices.ContainsFunc(known, func(t told) bool { return c.State.ModSeq == t.modSeq && t.uids.Contains(c.UID) }) {
			continue
		}
		if s.quiet {
			continue
		}
		out.Add(c.UID)
		s.tellFlags(c, uid)
	}
	if err := s.updateContexts(ctx, ch.Changed); err != nil {
		return nil, err
	}
	return out, s.w.Err()
}

// lookForChange takes in that something of the account changed.
func (s *Session) lookForChange() {
	select {
	case <-s.changed:
		s.noteChange()
	default:
	}
	select {
	case <-s.changedThere: // nil blocks
		s.noteChange()
	default:
	}
}

// tellFlags writes the FETCH response that tells a message's flags.
func (s *Session) tellFlags(c view.Changed, uid bool) {
	s.beginFetch(c.Seq, c.UID)
	if !s.enabled.uidOnly && (uid || s.enabled.rev2 || s.enabled.qresync) {
		s.w.Raw("UID ")
		s.w.Num(uint64(c.UID))
		s.w.Byte(' ')
	}
	s.w.Raw("FLAGS ")
	s.writeFlags(c.State)
	if s.enabled.condStore {
		s.writeModSeq(c.State.ModSeq)
	}
	s.w.Raw(")\r\n")
}

// writeModSeq writes " MODSEQ (n)" (RFC 7162, section 3.1.4.2).
func (s *Session) writeModSeq(m index.ModSeq) {
	s.w.Raw(" MODSEQ (")
	s.w.Num(uint64(max(m, 1)))
	s.w.Byte(')')
}

// tellModSeq writes the HIGHESTMODSEQ response code (RFC 7162, section 3.1.2.1).
func (s *Session) tellModSeq(m index.ModSeq) {
	s.w.Raw("* OK [HIGHESTMODSEQ ")
	s.w.Num(uint64(max(m, 1)))
	s.w.Raw("] highest\r\n")
}

// tellKeywords writes FLAGS where the mailbox has keywords that the client was not told of.
func (s *Session) tellKeywords(m index.Mailbox) {
	if len(m.Keywords) == s.keywords {
		return
	}
	s.keywords = len(m.Keywords)
	s.w.Raw("* FLAGS ")
	s.w.Flags(append(systemFlags(), m.Keywords...))
	s.w.CRLF()
}
