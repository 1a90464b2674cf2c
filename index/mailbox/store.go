package mailbox

import (
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// Store changes flags (RFC 9051, section 6.4.6). A message whose flags are already so keeps its
// modification sequence; one changed after unchanged_since is left alone (RFC 7162, section 3.1.3).
func (x *Execution) Store(cmd *indexpb.StoreFlagsCommand) (*indexpb.Result, error) {
	if err := checkFlags(cmd.SystemFlags, cmd.Keywords); err != nil {
		return Invalid(err), nil
	}
	if cmd.Op < indexpb.FlagOp_FLAG_OP_SET || cmd.Op > indexpb.FlagOp_FLAG_OP_REMOVE {
		return refuse(indexpb.Code_CODE_INVALID, "unknown flag operation %d", cmd.Op), nil
	}
	m, res, err := x.opened(cmd.Account, cmd.MailboxId, cmd.UidValidity)
	if err != nil || res != nil {
		return res, err
	}
	uids, res, err := x.selectUIDs(m, cmd.Uids)
	if err != nil || res != nil {
		return res, err
	}
	if len(uids) == 0 {
		return &indexpb.Result{ModSeq: m.account.rec.ModSeq, MailboxId: uint32(m.id), UidValidity: m.rec.UidValidity}, nil
	}
	s := storing{op: cmd.Op, system: cmd.SystemFlags, since: cmd.UnchangedSince}
	if cmd.Op == indexpb.FlagOp_FLAG_OP_REMOVE {
		s.keywords = m.known(cmd.Keywords)
	} else {
		if !m.takes(cmd.Keywords) {
			return refuse(indexpb.Code_CODE_TOO_MANY_KEYWORDS, "a mailbox has at most %d keywords", MaxKeywords), nil
		}
		s.keywords = m.numbers(cmd.Keywords)
	}
	for _, u := range uids {
		if err := x.storeOne(m, u, &s); err != nil {
			return nil, fmt.Errorf("store in mailbox %d of account %d: %w", m.id, m.account.id, err)
		}
	}
	if m.dirty {
		m.account.dirty = true // a keyword's number alone is a change too
	}
	return &indexpb.Result{
		ModSeq: m.account.rec.ModSeq, MailboxId: uint32(m.id), UidValidity: m.rec.UidValidity,
		Changed: ranges(s.changed), Modified: ranges(s.modified),
	}, nil
}

// storing is what the messages of one Store share.
type storing struct {
	op       indexpb.FlagOp
	system   uint32
	keywords []uint32 // ascending
	since    *uint64

	changed, modified []index.UID
}

func (x *Execution) storeOne(m *mailboxState, u index.UID, s *storing) error {
	old, err := x.flagsOf(m, u)
	if err != nil {
		return err
	}
	if s.since != nil && old.ModSeq > *s.since {
		s.modified = append(s.modified, u)
		return nil
	}
	next := s.apply(old)
	if next.System == old.System && slices.Equal(next.Keywords, old.Keywords) {
		return nil
	}
	s.changed = append(s.changed, u)
	return x.reflag(m, u, old, next)
}

func (s *storing) apply(old *indexpb.FlagRecord) *indexpb.FlagRecord {
	switch s.op {
	case indexpb.FlagOp_FLAG_OP_ADD:
		merged := append(slices.Clone(old.Keywords), s.keywords...)
		slices.Sort(merged)
		return &indexpb.FlagRecord{System: old.System | s.system, Keywords: slices.Compact(merged)}
	case indexpb.FlagOp_FLAG_OP_REMOVE:
		left := slices.DeleteFunc(slices.Clone(old.Keywords), func(n uint32) bool {
			_, found := slices.BinarySearch(s.keywords, n)
			return found
		})
		return &indexpb.FlagRecord{System: old.System &^ s.system, Keywords: left}
	}
	return &indexpb.FlagRecord{System: s.system, Keywords: s.keywords}
}
