package engine

import (
	"context"
	"slices"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
)

// heard is what a client knows that enabled METADATA, or asked for its changes with NOTIFY: which annotations
// there are, of which age. The account's record says when one of them changed last, so that nothing is read
// while nothing happens.
type heard struct {
	all    bool // METADATA is enabled; else it hears what NOTIFY asked for
	at     index.ModSeq
	of     map[heardEntry]access.MailboxAnnotation
	server map[string]string // values of the server's by entry
}

type heardEntry struct {
	mailbox index.MailboxID
	entry   string
}

// useMetadata turns METADATA responses on (RFC 5464, section 4.1): what changes from now on is told.
func (s *Session) useMetadata(ctx context.Context) error {
	if err := s.hear(ctx); err != nil {
		return err
	}
	s.heard.all = true
	return nil
}

// hear begins to remember which annotations there are, unless the session does already.
func (s *Session) hear(ctx context.Context) error {
	if s.heard != nil {
		return nil
	}
	h := &heard{}
	if err := h.account(ctx, s); err != nil {
		return err
	}
	server, err := s.serverValues(ctx)
	if err != nil {
		return err
	}
	h.server = server
	s.heard = h
	return nil
}

// watchMetadata begins or ends to remember annotations for a NOTIFY (RFC 5465, sections 5.6 and 5.7).
func (s *Session) watchMetadata(ctx context.Context, n *notification) error {
	for _, g := range n.groups {
		if g.Events&(wire.MailboxMetadataChange|wire.ServerMetadataChange) != 0 {
			return s.hear(ctx)
		}
	}
	if s.heard != nil && !s.heard.all {
		s.heard = nil
	}
	return nil
}

// hears reports whether the client wants to hear of the annotations of a mailbox, or with nil of the server's
// and the account's, which NOTIFY asks for together with any mailboxes.
func (s *Session) hears(m *index.Mailbox) bool {
	switch {
	case s.heard.all:
		return true
	case s.notify == nil:
		return false
	case m != nil:
		return s.notify.events(m)&wire.MailboxMetadataChange != 0
	}
	return slices.ContainsFunc(s.notify.groups, func(g wire.NotifyGroup) bool { return g.Events&wire.ServerMetadataChange != 0 })
}

// account reads the annotations of the account.
func (h *heard) account(ctx context.Context, s *Session) error {
	all, at, err := s.account.AllMetadata(ctx, s.who.Account)
	if err != nil {
		return err
	}
	h.at, h.of = at, make(map[heardEntry]access.MailboxAnnotation, len(all))
	for _, is := range all {
		h.of[heardEntry{is.ID, is.Entry}] = is
	}
	return nil
}

func (s *Session) serverValues(ctx context.Context) (map[string]string, error) {
	all, err := s.c.Site.ServerMetadata(ctx)
	values := make(map[string]string, len(all))
	for _, is := range all {
		values[is.Entry] = string(is.Value)
	}
	return values, err
}

// syncMetadata tells which annotations others have changed (RFC 5464, section 4.4.2): names, no values.
func (s *Session) syncMetadata(ctx context.Context) error {
	if s.heard == nil {
		return nil
	}
	server, err := s.serverValues(ctx)
	if err != nil {
		return err
	}
	if s.hears(nil) {
		s.tellEntries("", differing(s.heard.server, server))
	}
	s.heard.server = server
	at, err := s.account.MetadataModSeq(ctx)
	if err != nil || at == s.heard.at {
		return err
	}
	before := s.heard.of
	if err := s.heard.account(ctx, s); err != nil {
		return err
	}
	return s.tellChanged(ctx, before, s.heard.of)
}

// tellChanged tells what is other in after than in before, mailbox by mailbox. Of a mailbox that is gone
// nothing is told.
func (s *Session) tellChanged(ctx context.Context, before, after map[heardEntry]access.MailboxAnnotation) error {
	changed := make(map[index.MailboxID][]string)
	for key, is := range after {
		if was, known := before[key]; !known || was.ModSeq != is.ModSeq {
			changed[key.mailbox] = append(changed[key.mailbox], key.entry)
		}
	}
	for key := range before {
		if _, there := after[key]; !there {
			changed[key.mailbox] = append(changed[key.mailbox], key.entry)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if s.hears(nil) {
		s.tellEntries("", changed[0])
	}
	boxes, err := s.account.Mailboxes(ctx)
	if err != nil {
		return err
	}
	for i := range boxes {
		if m := &boxes[i]; m.ID != 0 && len(changed[m.ID]) > 0 && s.hears(m) {
			s.tellEntries(m.Name, changed[m.ID])
		}
	}
	return nil
}

// differing gives the keys whose values are not the same in both.
func differing(a, b map[string]string) (keys []string) {
	for k, v := range a {
		if w, there := b[k]; !there || v != w {
			keys = append(keys, k)
		}
	}
	for k := range b {
		if _, there := a[k]; !there {
			keys = append(keys, k)
		}
	}
	return keys
}

// tellEntries writes a METADATA response without values, in the order of names, unless there are none.
func (s *Session) tellEntries(name string, entries []string) {
	if len(entries) == 0 {
		return
	}
	slices.Sort(entries)
	s.w.Raw("* METADATA ")
	s.w.MailboxName(name)
	for _, e := range entries {
		s.w.Byte(' ')
		s.w.Entry(e)
	}
	s.w.CRLF()
}

// heardOwn notes what the client changed itself, of which it is told nothing.
func (s *Session) heardOwn(ctx context.Context, c access.MetadataChange, at index.ModSeq) error {
	if s.heard == nil {
		return nil
	}
	var id index.MailboxID
	if c.Mailbox != "" {
		m, err := s.account.Mailbox(ctx, c.Mailbox)
		if err != nil {
			return nil // it is gone again
		}
		id = m.ID
	}
	for _, e := range c.Entries {
		key := heardEntry{id, e.Entry}
		if e.Value == nil {
			delete(s.heard.of, key)
			continue
		}
		s.heard.of[key] = access.MailboxAnnotation{ID: id, Entry: e.Entry, ModSeq: at}
	}
	return nil
}

// heardServer is heardOwn for annotations of the server.
func (s *Session) heardServer(ctx context.Context) error {
	if s.heard == nil {
		return nil
	}
	values, err := s.serverValues(ctx)
	if err == nil {
		s.heard.server = values
	}
	return err
}
