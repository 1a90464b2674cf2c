package engine

import (
	"context"
	"errors"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// search is SEARCH (RFC 9051, section 6.4.4; RFC 5182 for SAVE).
func (s *Session) search(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Search)
	if a.Save {
		s.view.Save(uidset.New()) // what stays if this one fails (RFC 5182, section 2.1)
	}
	switch a.Charset {
	case "", "US-ASCII", "UTF-8":
	default:
		return reply{}, errCharset
	}
	criterion, err := s.compile(&a.Key)
	if err != nil {
		return reply{}, err
	}
	found, err := s.find(ctx, &criterion)
	if err != nil {
		return reply{}, err
	}
	if a.Save {
		s.view.Save(saved(a, found))
	}
	var modSeq index.ModSeq
	if usesModSeq(&a.Key) {
		if modSeq, err = s.highest(ctx, a, found); err != nil {
			return reply{}, err
		}
	}
	if a.Return || s.enabled.rev2 {
		s.tellESearch(cmd, a, found, modSeq)
	} else {
		s.tellSearch(cmd.UID, found, modSeq)
	}
	return reply{}, nil
}

// saved is what SAVE keeps: with MIN or MAX alone only those messages (RFC 5182, section 2.4).
func saved(a *wire.Search, found *uidset.Set) *uidset.Set {
	if a.All || a.Count || !a.Min && !a.Max || found.Len() == 0 {
		return found.Clone()
	}
	out := uidset.New()
	if a.Min {
		out.Add(found.Min())
	}
	if a.Max {
		out.Add(found.Max())
	}
	return out
}

func usesModSeq(k *wire.SearchKey) bool {
	if k.Op == wire.SearchModSeq {
		return true
	}
	for i := range k.Keys {
		if usesModSeq(&k.Keys[i]) {
			return true
		}
	}
	return false
}

// highest is the highest modification sequence of what is told (RFC 7162, section 3.1.5).
func (s *Session) highest(ctx context.Context, a *wire.Search, found *uidset.Set) (index.ModSeq, error) {
	var highest index.ModSeq
	err := s.box.Flags(ctx, saved(a, found), func(_ index.UID, st index.FlagState) error {
		highest = max(highest, st.ModSeq)
		return nil
	})
	return highest, err
}

// find gives the messages that match, reading as little as decides it.
func (s *Session) find(ctx context.Context, k *criterion) (*uidset.Set, error) {
	rest := k.narrow(s.view.UIDs())
	if k.cost == costSet {
		return rest, nil
	}
	f := finding{Session: s, k: k, found: uidset.New()}
	var err error
	if k.decidedBy(costFlags) {
		if rest, err = f.byFlags(ctx, rest); err != nil {
			return nil, err
		}
	}
	if rest, err = f.bySummary(ctx, rest); err != nil {
		return nil, err
	}
	return f.found, f.byOctets(ctx, rest)
}

// finding is a SEARCH being carried out. Each of its steps gives the messages that are still undecided.
type finding struct {
	*Session
	k       *criterion
	found   *uidset.Set
	scratch scratch
}

func (f *finding) decide(c *candidate, rest *uidset.Set) error {
	v, err := c.matches(f.k)
	switch v {
	case yes:
		f.found.Add(c.uid)
	case unknown:
		rest.Add(c.uid)
	}
	return err
}

func (f *finding) byFlags(ctx context.Context, uids *uidset.Set) (*uidset.Set, error) {
	rest := uidset.New()
	err := f.box.Flags(ctx, uids, func(u index.UID, st index.FlagState) error {
		return f.decide(&candidate{uid: u, state: st}, rest)
	})
	return rest, err
}

func (f *finding) bySummary(ctx context.Context, uids *uidset.Set) (*uidset.Set, error) {
	rest := uidset.New()
	if uids.Len() == 0 {
		return rest, nil
	}
	err := f.box.Messages(ctx, uids, func(m access.Message) error {
		return f.decide(&candidate{uid: m.UID, state: m.State, summary: &m}, rest)
	})
	return rest, err
}

// byOctets opens the messages that nothing else decides.
func (f *finding) byOctets(ctx context.Context, uids *uidset.Set) error {
	for batch := range batches(uids, bodyBatch) {
		err := f.box.Messages(ctx, batch, func(m access.Message) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			body, err := f.box.OpenBody(ctx, m.UID)
			if errors.Is(err, index.ErrNoMessage) {
				return nil
			}
			if err != nil {
				return err
			}
			defer body.Close()
			c := &candidate{uid: m.UID, state: m.State, summary: &m, octets: &octets{body: body, summary: &m, scratch: &f.scratch}}
			return f.decide(c, uidset.New())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ranges gives found as numbers or UIDs.
func (s *Session) ranges(uid bool, found *uidset.Set) func(yield func(lo, hi uint32) bool) {
	if !uid {
		return s.view.Seqs(found)
	}
	return uidRanges(found)
}

// uidRanges gives a set of UIDs as wire writes it.
func uidRanges(set *uidset.Set) func(yield func(lo, hi uint32) bool) {
	return func(yield func(lo, hi uint32) bool) {
		for r := range set.Ranges() {
			if !yield(uint32(r.Lo), uint32(r.Hi)) {
				return
			}
		}
	}
}

// tellSearch writes the SEARCH response of RFC 3501, section 7.2.5.
func (s *Session) tellSearch(uid bool, found *uidset.Set, modSeq index.ModSeq) {
	s.w.Raw("* SEARCH")
	s.ranges(uid, found)(func(lo, hi uint32) bool {
		for n := uint64(lo); n <= uint64(hi); n++ {
			s.w.Byte(' ')
			s.w.Num(n)
		}
		return s.w.Err() == nil
	})
	if modSeq > 0 && found.Len() > 0 {
		s.w.Raw(" (MODSEQ ")
		s.w.Num(uint64(modSeq))
		s.w.Byte(')')
	}
	s.w.CRLF()
}

// tellESearch writes the ESEARCH response; with SAVE alone there is none.
func (s *Session) tellESearch(cmd *wire.Command, a *wire.Search, found *uidset.Set, modSeq index.ModSeq) {
	if a.Return && a.Save && !a.Min && !a.Max && !a.All && !a.Count {
		return
	}
	number := func(u index.UID) uint32 {
		if cmd.UID {
			return uint32(u)
		}
		return s.view.Seq(u)
	}
	e := wire.ESearch{Tag: cmd.Tag, UID: cmd.UID, HasCount: a.Count, Count: uint64(found.Len())}
	if found.Len() > 0 {
		e.HasMin, e.HasMax = a.Min, a.Max
		e.Min, e.Max = number(found.Min()), number(found.Max())
		if a.All || !a.Return {
			e.All = s.ranges(cmd.UID, found)
		}
		e.ModSeq = uint64(modSeq)
	}
	s.w.ESearch(e)
}
