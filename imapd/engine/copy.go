package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// copy is COPY (RFC 9051, section 6.4.7).
func (s *Session) copy(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Copy)
	uids, err := s.view.Resolve(a.Set, cmd.UID)
	if err != nil {
		return reply{}, err
	}
	n := uids.Len()
	if n == 0 {
		return reply{}, nil
	}
	if most := s.c.saves(); most > 0 && n > most { // all or none (RFC 9738, section 3.1)
		lowest, _ := uids.At(n - most + 1)
		return reply{}, &limitError{limit: most, lowest: lowest}
	}
	to, err := s.need(ctx, a.Mailbox, index.RightInsert)
	if err != nil {
		return reply{}, err
	}
	s.dirty = true // the destination may be the selected mailbox
	res, err := s.transfer(ctx, uids, to, false)
	if err != nil {
		return reply{}, tryCreate(err)
	}
	if len(res.To) == 0 {
		return reply{}, errExpunged
	}
	return ok(copyUID(res), "COPY completed"), nil
}

// move is MOVE (RFC 9051, section 6.4.8): COPYUID comes untagged, before the EXPUNGE responses.
func (s *Session) move(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Copy)
	uids, err := s.view.Resolve(a.Set, cmd.UID)
	switch {
	case err != nil:
		return reply{}, err
	case s.readOnly:
		return reply{}, errReadOnly
	case !s.may(index.RightDeleteMessages | index.RightExpunge):
		return reply{}, errNoPerm
	case uids.Len() == 0:
		return reply{}, nil
	}
	to, err := s.need(ctx, a.Mailbox, index.RightInsert)
	if err != nil {
		return reply{}, err
	}
	s.dirty = true
	uids, part := s.highest(uids)
	res, err := s.transfer(ctx, uids, to, true)
	if err != nil {
		return reply{}, tryCreate(err)
	}
	if len(res.To) > 0 {
		s.w.StatusLine("*", wire.OK, copyUID(res), "moved")
	}
	rep, err := s.afterExpunge(ctx, cmd)
	return s.partial(part, rep, err)
}

// tryCreate tells a destination that is missing from a mailbox that is.
func tryCreate(err error) error {
	if errors.Is(err, index.ErrNoMailbox) {
		return fmt.Errorf("%w: %w", errTryCreate, err)
	}
	return err
}

// copyUID is the COPYUID response code (RFC 4315, section 3): both sets in the order of the copies.
func copyUID(res access.CopyResult) string {
	b := fmt.Appendf(nil, "COPYUID %d ", res.UIDValidity)
	b = appendRanges(b, slices.Values(res.From))
	b = append(b, ' ')
	return string(appendRanges(b, slices.Values(res.To)))
}

// appendRanges appends ranges as a uid-set.
func appendRanges(b []byte, ranges func(func(index.UIDRange) bool)) []byte {
	first := true
	for r := range ranges {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = fmt.Append(b, uint32(r.Lo))
		if r.Hi != r.Lo {
			b = fmt.Append(append(b, ':'), uint32(r.Hi))
		}
	}
	return b
}

// expunge is EXPUNGE and UID EXPUNGE (RFC 9051, sections 6.4.3 and 6.4.9).
func (s *Session) expunge(ctx context.Context, cmd *wire.Command) (reply, error) {
	switch {
	case s.readOnly:
		return reply{}, errReadOnly
	case !s.may(index.RightExpunge):
		return reply{}, errNoPerm
	}
	s.dirty = true
	var uids *uidset.Set // nil is all
	var part partly
	if cmd.UID {
		var err error
		if uids, err = s.view.Resolve(cmd.Args.(*wire.Expunge).UIDs, true); err == nil {
			uids, part, err = s.highestDeleted(ctx, uids)
		}
		if err != nil || uids.Len() == 0 {
			return reply{}, err
		}
	}
	if _, err := s.box.Expunge(ctx, uids); err != nil {
		return reply{}, err
	}
	rep, err := s.afterExpunge(ctx, cmd)
	return s.partial(part, rep, err)
}
