package engine

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// resync tells a client that knew the mailbox what happened meanwhile (RFC 7162, section 3.2.5). v is
// what SELECT just described: what changed after it is told like any other change.
func (s *Session) resync(ctx context.Context, v access.View, q *wire.QResync) error {
	if q.UIDValidity != v.Mailbox.UIDValidity {
		return nil
	}
	top := v.Mailbox.UIDNext - 1
	known := uidset.New()
	switch {
	case len(q.Known.Ranges) > 0:
		known = below(q.Known, top)
	case top > 0:
		known.AddRange(1, top)
	}
	matched := s.matched(q)
	if err := s.vanished(ctx, known, index.ModSeq(q.ModSeq), matched); err != nil {
		return err
	}
	changed, err := s.changedSince(ctx, known.Intersect(s.view.UIDs()), index.ModSeq(q.ModSeq))
	if err != nil {
		return err
	}
	f := fetching{Session: s, plan: fetchPlan{uid: !s.enabled.uidOnly, flags: true, modSeq: true}}
	return f.batch(ctx, changed)
}

// tellEarlier is the VANISHED of a UID FETCH (RFC 7162, section 3.2.6).
func (s *Session) tellEarlier(ctx context.Context, a *wire.Fetch) error {
	top := s.view.Top()
	asked := below(a.Set, top)
	if a.Set.Saved {
		var err error
		if asked, err = s.view.Resolve(a.Set, true); err != nil {
			return err
		}
	}
	return s.vanished(ctx, asked, index.ModSeq(*a.ChangedSince), 0)
}

// vanished writes VANISHED (EARLIER) for those of known that were expunged after since. Where not all
// expunges are remembered, it is all of known above matched that is not there: more than was asked
// for, but nothing that a client may keep (RFC 7162, section 3.2.5.1).
//
// Invariant: messages that the client still counts are left out. They have numbers until sync says that
// they vanished.
func (s *Session) vanished(ctx context.Context, known *uidset.Set, since index.ModSeq, matched index.UID) error {
	gone, complete, err := s.box.Vanished(ctx, since)
	if err != nil {
		return err
	}
	if complete {
		gone = gone.Intersect(known)
	} else {
		gone = known.Clone()
		if matched > 0 {
			gone.RemoveRange(1, matched)
		}
	}
	gone.Subtract(s.view.UIDs())
	if gone.Len() > 0 {
		s.w.Vanished(true, uidRanges(gone))
	}
	return s.w.Err()
}

// below gives the UIDs of a set up to top, which "*" means as well.
func below(set wire.NumSet, top index.UID) *uidset.Set {
	out := uidset.New()
	for _, r := range set.Resolve(uint32(top)) {
		if lo, hi := index.UID(r.Lo), min(index.UID(r.Hi), top); lo <= hi {
			out.AddRange(lo, hi)
		}
	}
	return out
}

// matched is the highest UID up to which nothing vanished, as the pairs of number and UID tell that the
// client gave: the last pair that is still so.
func (s *Session) matched(q *wire.QResync) index.UID {
	var last index.UID
	uids := numbersOf(q.MatchUIDs)
	for _, r := range q.MatchSeqs.Ranges {
		for n := r.Lo; n <= r.Hi && n <= s.view.Len(); n++ {
			u, more := uids()
			if !more || s.view.Seq(index.UID(u)) != n {
				return last
			}
			last = index.UID(u)
		}
	}
	return last
}

// numbersOf gives the numbers of a set one after the other.
func numbersOf(set wire.NumSet) func() (n uint32, more bool) {
	i, next := 0, uint64(0)
	return func() (uint32, bool) {
		for i < len(set.Ranges) {
			r := set.Ranges[i]
			next = max(next, uint64(r.Lo))
			if next <= uint64(r.Hi) {
				next++
				return uint32(next - 1), true
			}
			i, next = i+1, 0
		}
		return 0, false
	}
}

// afterExpunge tells what a command expunged, and with QRESYNC up to where the client knows all by now
// (RFC 7162, sections 3.2.7 to 3.2.9; RFC 6851, section 4.4).
func (s *Session) afterExpunge(ctx context.Context, cmd *wire.Command) (reply, error) {
	if !s.enabled.qresync {
		return reply{}, nil
	}
	before := s.view.Since()
	if err := s.sync(ctx, true, cmd.UID); err != nil {
		return reply{}, err
	}
	if s.view.Since() == before {
		return reply{}, nil
	}
	return ok(fmt.Sprintf("HIGHESTMODSEQ %d", s.view.Since()), cmd.Name+" completed"), nil
}
