package engine

import (
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// useUIDOnly turns UIDONLY on (RFC 9586, section 3): from now on no message number is told or taken. Results that are
// kept up to date by number no longer are.
func (s *Session) useUIDOnly() {
	s.enabled.uidOnly = true
	kept := s.contexts[:0]
	for _, c := range s.contexts {
		if c.uid {
			kept = append(kept, c)
			continue
		}
		s.refuseContext(c.tag)
	}
	s.contexts = kept
}

// uidRequired refuses a command that uses message numbers (RFC 9586, sections 3.2, 3.5, 3.7 and 3.8). The octets of
// a REPLACE have to be dealt with.
func (s *Session) uidRequired(cmd *wire.Command) (reply, error) {
	if a, ok := cmd.Args.(*wire.Append); ok {
		if err := s.r.Refuse(a, s.c.Limits.Drain); err != nil {
			return reply{}, err
		}
	}
	return reply{kind: wire.BAD, code: "UIDREQUIRED", text: "UIDONLY is enabled, no message numbers any more"}, nil
}

// numbered reports whether a command uses message numbers.
func numbered(cmd *wire.Command) bool {
	switch a := cmd.Args.(type) {
	case *wire.Fetch, *wire.Store, *wire.Copy:
		return !cmd.UID
	case *wire.Append:
		return a.Replaces != nil && !cmd.UID
	case *wire.Search:
		return !cmd.UID || seeksNumbers(&a.Key)
	case *wire.Sort:
		return !cmd.UID || seeksNumbers(&a.Key)
	case *wire.Thread:
		return !cmd.UID || seeksNumbers(&a.Key)
	case *wire.MultiSearch: // it always tells UIDs (RFC 7377, section 2)
		return seeksNumbers(&a.Key)
	case *wire.Select:
		return a.QResync != nil && len(a.QResync.MatchSeqs.Ranges) > 0
	}
	return false
}

// seeksNumbers reports whether a search program names messages by number. "$" names none.
func seeksNumbers(k *wire.SearchKey) bool {
	if k.Op == wire.SearchSeq {
		return !k.Set.Saved
	}
	for i := range k.Keys {
		if seeksNumbers(&k.Keys[i]) {
			return true
		}
	}
	return false
}

// beginFetch begins the response that tells of a message: FETCH with its number, or UIDFETCH with its UID (RFC 9586,
// section 3.3).
func (s *Session) beginFetch(seq uint32, u index.UID) {
	s.w.Untagged()
	if s.enabled.uidOnly {
		s.w.Num(uint64(u))
		s.w.Raw(" UIDFETCH (")
		return
	}
	s.w.Num(uint64(seq))
	s.w.Raw(" FETCH (")
}
