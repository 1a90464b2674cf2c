package engine

import (
	"context"

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
	since := s.view.Since()
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
	if out, err = s.tellFlagsOf(ctx, up.Changed, uid, known); err != nil {
		s.view.Rewind(since)
		s.dirty = true
		return nil, err
	}
	if err := s.updateContexts(ctx, ch.Changed); err != nil {
		return nil, err
	}
	return out, s.w.Err()
}

// tellFlagsOf tells the flags of messages but those that are known, and returns which it told. They are read as they
// are told, however many there are; what changes meanwhile is told once more by the next sync.
func (s *Session) tellFlagsOf(ctx context.Context, changed *uidset.Set, uid bool, known []told) (out *uidset.Set, err error) {
	out = uidset.New()
	if s.quiet || changed.Len() == 0 {
		return out, nil
	}
	own := make(map[index.ModSeq]*uidset.Set, len(known))
	for _, t := range known {
		if set := own[t.modSeq]; set != nil {
			set.Union(t.uids)
		} else {
			own[t.modSeq] = t.uids.Clone()
		}
	}
	err = s.box.Flags(ctx, changed, func(u index.UID, st index.FlagState) error {
		n := s.view.Seq(u)
		if set := own[st.ModSeq]; n == 0 || set != nil && set.Contains(u) {
			return nil
		}
		out.Add(u)
		s.tellFlags(n, u, st, uid)
		return s.w.Err()
	})
	return out, err
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
func (s *Session) tellFlags(n uint32, u index.UID, st index.FlagState, uid bool) {
	s.beginFetch(n, u)
	if !s.enabled.uidOnly && (uid || s.enabled.rev2 || s.enabled.qresync) {
		s.w.Raw("UID ")
		s.w.Num(uint64(u))
		s.w.Byte(' ')
	}
	s.w.Raw("FLAGS ")
	s.writeFlags(st)
	if s.enabled.condStore {
		s.writeModSeq(st.ModSeq)
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
