package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/rookery-mail/rookery/imapd/view"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// maxSearched is how many mailboxes one ESEARCH may search.
const maxSearched = 5000

// multiSearch is ESEARCH (RFC 7377, section 2.1). Mailboxes are searched one after the other, each of one moment;
// those in which nothing is found are not told of.
func (s *Session) multiSearch(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.MultiSearch)
	in := a.In
	if len(in) == 0 {
		in = []wire.MailboxFilter{{Kind: wire.FilterSelected}}
	}
	own := slices.ContainsFunc(in, wire.MailboxFilter.IsSelected)
	only := !slices.ContainsFunc(in, func(f wire.MailboxFilter) bool { return !f.IsSelected() })
	switch {
	case own && s.box == nil:
		return bad("no mailbox is selected"), nil
	case !only && (a.Save || usesNumbers(&a.Key)):
		return bad("message numbers, $ and SAVE are of the selected mailbox"), nil
	case a.Update:
		s.refuseContext(cmd.Tag)
	}
	for i, f := range in {
		in[i] = canonical(f)
	}
	boxes, err := s.searchable(ctx, in)
	if err != nil {
		return reply{}, err
	}
	boxes = slices.DeleteFunc(boxes, func(m index.Mailbox) bool { return m.ID == 0 || !s.searches(in, &m) })
	if len(boxes) > maxSearched {
		return reply{}, errTooManyBoxes
	}
	for i := range boxes {
		if err := s.searchIn(ctx, cmd.Tag, &a.Search, &boxes[i]); err != nil {
			return reply{}, err
		}
	}
	return reply{}, nil
}

// searchable gives the mailboxes among which filters choose: one's own and, where the filters may name such, those
// of others that the user may see and read. The selected one is among them.
func (s *Session) searchable(ctx context.Context, in []wire.MailboxFilter) ([]index.Mailbox, error) {
	boxes, err := s.account.Mailboxes(ctx)
	if err != nil {
		return nil, err
	}
	if s.peer.Others != nil && slices.ContainsFunc(in, func(f wire.MailboxFilter) bool { return coversOthers(f, boxes) }) {
		var rights map[string]index.Rights
		if boxes, rights, err = s.withShared(ctx, boxes); err != nil {
			return nil, err
		}
		boxes = slices.DeleteFunc(boxes, func(m index.Mailbox) bool { return m.Owner != 0 && !rights[m.Name].Has(index.RightRead) })
	}
	if s.box != nil && s.at.shared && !slices.ContainsFunc(boxes, func(m index.Mailbox) bool { return s.isSelected(&m) }) {
		m := s.at.shown(s.box.Info())
		m.Name = s.name
		boxes = append(boxes, m)
	}
	return boxes, nil
}

// searches reports whether one of the filters names a mailbox.
func (s *Session) searches(in []wire.MailboxFilter, m *index.Mailbox) bool {
	for _, f := range in {
		if f.IsSelected() && s.isSelected(m) || !f.IsSelected() && covers(f, m) {
			return true
		}
	}
	return false
}

// usesNumbers reports whether a search program names messages by number, or by "$".
func usesNumbers(k *wire.SearchKey) bool {
	return k.Op == wire.SearchSeq || k.Set.Saved || slices.ContainsFunc(k.Keys, func(k wire.SearchKey) bool { return usesNumbers(&k) })
}

// searchIn searches one mailbox and tells what it found. One that was deleted meanwhile is passed over, and one
// that the user may not read any more.
func (s *Session) searchIn(ctx context.Context, tag string, a *wire.Search, m *index.Mailbox) error {
	in := s
	if !s.isSelected(m) {
		p, err := s.need(ctx, m.Name, index.RightRead)
		if gone(err) || errors.Is(err, errNoPerm) {
			return nil
		}
		if err != nil {
			return err
		}
		box, err := p.account.Open(ctx, p.name)
		if gone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		v, err := box.View(ctx)
		if gone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		// As much of a session as searching takes. That CONDSTORE is on keeps it from being announced for this mailbox.
		in = &Session{Engine: s.Engine, r: s.r, w: s.w, tag: tag, who: s.who, account: p.account, at: p, box: box,
			view: view.New(v.UIDs, v.Mailbox.UIDNext, v.Mailbox.HighestModSeq), enabled: enabled{condStore: true}}
		v.Mailbox = p.shown(v.Mailbox)
		m = &v.Mailbox
	}
	scores := newRelevancy(a.Relevancy)
	found, err := in.matching(ctx, a, scores)
	res := result{session: in, uid: true, set: found, scores: scores}
	if err == nil {
		err = in.finish(ctx, a, found, &res)
	}
	if err != nil && in != s && gone(err) {
		return nil
	}
	if err != nil || found.Len() == 0 {
		return err
	}
	if e, ok := esearch(&wire.Command{Tag: tag, UID: true}, a, &res); ok {
		e.Mailbox, e.UIDValidity = m.Name, m.UIDValidity
		s.w.ESearch(e)
	}
	return broken(s.w.Err())
}

// gone reports that a mailbox is no more.
func gone(err error) bool { return errors.Is(err, index.ErrNoMailbox) || errors.Is(err, index.ErrGone) }
