package engine

import (
	"context"
	"slices"
	"strconv"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// replace is REPLACE and UID REPLACE (RFC 8508, section 3): the message is filed and the old one expunged
// in one step. What can be refused is, before the octets are asked for. APPENDUID comes untagged, before the
// EXPUNGE response (section 3.4).
func (s *Session) replace(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Append)
	ap := appending{Session: s, room: heldAppends}
	old, err := s.replaced(a, cmd.UID)
	if err != nil {
		return reply{}, ap.refuse(a, true, err)
	}
	defer func() {
		for _, in := range ap.messages {
			in.Discard()
		}
	}()
	spoiled, err := ap.take(ctx, a)
	if err != nil {
		return wrongParts(err)
	}
	if _, err := s.r.Next(a); err != nil {
		return s.lineError(err)
	}
	if spoiled != nil {
		return reply{}, spoiled
	}
	if ap.to.owner != s.at.owner {
		return reply{}, errAcross
	}
	s.dirty = true
	res, err := s.box.Replace(ctx, old, ap.to.name, ap.messages[0], ap.options[0])
	if err != nil {
		return reply{}, tryCreate(err)
	}
	code := []byte("APPENDUID " + strconv.FormatUint(uint64(res.UIDValidity), 10) + " ")
	s.w.StatusLine("*", wire.OK, string(appendRanges(code, slices.Values(res.To))), "replacement filed")
	return s.afterExpunge(ctx, cmd)
}

// replaced gives the one message that a REPLACE names.
func (s *Session) replaced(a *wire.Append, uid bool) (index.UID, error) {
	uids, err := s.view.Resolve(*a.Replaces, uid)
	switch {
	case err != nil:
		return 0, err
	case s.readOnly:
		return 0, errReadOnly
	case !s.may(index.RightDeleteMessages | index.RightExpunge):
		return 0, errNoPerm
	case uids.Len() == 0 || s.view.Gone(uids):
		return 0, errNoSuchUID
	}
	return uids.Min(), nil
}
