package mailstore

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Store changes flags: index.ErrGone, index.ErrTooManyKeywords. Large sets are changed in steps; an
// error may come after some of them, and the result then tells of those.
func (m *Mailbox) Store(ctx context.Context, req StoreRequest) (StoreResult, error) {
	out := StoreResult{Changed: uidset.New(), Modified: uidset.New()}
	cmd := indexpb.StoreFlagsCommand{
		Account: uint64(m.account.id), MailboxId: uint32(m.info.ID), UidValidity: m.info.UIDValidity,
		Op: indexpb.FlagOp(req.Op), SystemFlags: uint32(req.Flags), Keywords: req.Keywords,
		UnchangedSince: (*uint64)(req.UnchangedSince),
	}
	err := m.inSteps(ctx, req.UIDs, func(step []*indexpb.UIDRange) error {
		cmd.Uids = step
		res, err := m.account.store.change(ctx, m.group, command.StoreFlags, &cmd)
		if err != nil {
			return err
		}
		addRanges(out.Changed, res.Changed)
		addRanges(out.Modified, res.Modified)
		out.ModSeq = index.ModSeq(res.ModSeq)
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("store flags: %w", err)
	}
	return out, nil
}

// Copy files messages into another mailbox too: index.ErrNoMailbox, index.ErrOverQuota,
// index.ErrGone. Up to 1,000 messages are copied all or none; more in steps, as with Store.
func (m *Mailbox) Copy(ctx context.Context, uids *uidset.Set, to string) (CopyResult, error) {
	return m.transfer(ctx, command.Copy, uids, to)
}

// Move files messages into another mailbox instead (RFC 6851), as Copy does.
func (m *Mailbox) Move(ctx context.Context, uids *uidset.Set, to string) (CopyResult, error) {
	return m.transfer(ctx, command.Move, uids, to)
}

func (m *Mailbox) transfer(ctx context.Context, k command.Kind, uids *uidset.Set, to string) (out CopyResult, err error) {
	if to, err = mailbox.CanonicalName(to); err != nil {
		return out, index.ErrNoMailbox
	}
	cmd := indexpb.CopyCommand{
		Account: uint64(m.account.id), MailboxId: uint32(m.info.ID), UidValidity: m.info.UIDValidity,
		To: to, Limits: m.account.store.limits(m.account.id),
	}
	err = m.inSteps(ctx, uids, func(step []*indexpb.UIDRange) error {
		cmd.Uids = step
		res, err := m.account.store.change(ctx, m.group, k, &cmd)
		if err != nil {
			return err
		}
		out.UIDValidity = res.UidValidity
		out.From = appendRanges(out.From, res.From)
		out.To = appendRanges(out.To, res.To)
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("%v to %q: %w", k, to, err)
	}
	return out, nil
}

// Expunge removes those of uids that have \Deleted, or with nil all that have, and returns them.
func (m *Mailbox) Expunge(ctx context.Context, uids *uidset.Set) (*uidset.Set, error) {
	deleted, err := m.Deleted(ctx)
	if err != nil {
		return nil, fmt.Errorf("expunge: %w", err)
	}
	if uids != nil {
		deleted = deleted.Intersect(uids)
	}
	gone := uidset.New()
	cmd := indexpb.ExpungeCommand{
		Account: uint64(m.account.id), MailboxId: uint32(m.info.ID), UidValidity: m.info.UIDValidity, OnlyDeleted: true,
		ForgetBefore: m.account.store.c.Clock().Add(-m.account.store.c.TombstoneAge).UnixMilli(),
	}
	err = m.inSteps(ctx, deleted, func(step []*indexpb.UIDRange) error {
		cmd.Uids = step
		res, err := m.expunge(ctx, &cmd)
		if err != nil {
			return err
		}
		addRanges(gone, res.Changed)
		return nil
	})
	if err != nil {
		return gone, fmt.Errorf("expunge: %w", err)
	}
	return gone, nil
}

// expunge commits cmd, so that its messages are kept where mail is.
func (m *Mailbox) expunge(ctx context.Context, cmd *indexpb.ExpungeCommand) (*indexpb.Result, error) {
	s := m.account.store
	if s.c.Keep() <= 0 {
		return s.change(ctx, m.group, command.Expunge, cmd)
	}
	return s.change(ctx, m.group, command.KeepExpunged, &indexpb.KeepExpungedCommand{Expunge: cmd, Limits: s.limits(m.account.id)})
}

// inSteps calls fn with ranges of up to mailbox.MaxMessages members of uids at a time.
func (m *Mailbox) inSteps(ctx context.Context, uids *uidset.Set, fn func([]*indexpb.UIDRange) error) error {
	if uids.Len() > mailbox.MaxMessages {
		v, err := m.View(ctx) // a client's "1:*" is not all messages
		if err != nil {
			return err
		}
		uids = uids.Intersect(v.UIDs)
	}
	var step []*indexpb.UIDRange
	room := mailbox.MaxMessages
	for r := range uids.Ranges() {
		for lo := r.Lo; ; {
			hi := min(r.Hi, lo+index.UID(room-1))
			step = append(step, &indexpb.UIDRange{Lo: uint32(lo), Hi: uint32(hi)})
			if room -= int(hi-lo) + 1; room == 0 {
				if err := fn(step); err != nil {
					return err
				}
				step, room = nil, mailbox.MaxMessages
			}
			if hi == r.Hi {
				break
			}
			lo = hi + 1
		}
	}
	if len(step) == 0 {
		return nil
	}
	return fn(step)
}

func addRanges(s *uidset.Set, ranges []*indexpb.UIDRange) {
	for _, r := range ranges {
		s.AddRange(index.UID(r.Lo), index.UID(r.Hi))
	}
}

// appendRanges appends ranges that follow those of dst, joining what touches.
func appendRanges(dst []index.UIDRange, ranges []*indexpb.UIDRange) []index.UIDRange {
	for _, r := range ranges {
		lo, hi := index.UID(r.Lo), index.UID(r.Hi)
		if n := len(dst); n > 0 && dst[n-1].Hi+1 == lo {
			dst[n-1].Hi = hi
			continue
		}
		dst = append(dst, index.UIDRange{Lo: lo, Hi: hi})
	}
	return dst
}
