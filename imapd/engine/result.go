package engine

import (
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/uidset"
)

// result is what a SEARCH or SORT found, ready to be told.
type result struct {
	session *Session
	uid     bool        // messages are told by UID
	set     *uidset.Set // of SEARCH
	order   []index.UID // of SORT; then set is nil
	modSeq  index.ModSeq
	scores  relevancy // nil is not told
}

func (r *result) len() int {
	if r.set != nil {
		return r.set.Len()
	}
	return len(r.order)
}

// at is the n-th message, counted from 1.
func (r *result) at(n int) index.UID {
	if r.set != nil {
		u, _ := r.set.At(n)
		return u
	}
	return r.order[n-1]
}

// number is how a message is told.
func (r *result) number(u index.UID) uint32 {
	if r.uid {
		return uint32(u)
	}
	return r.session.view.Seq(u)
}

// ranges gives the messages as numbers. Those of a SORT stay in their order, so that only ascending
// neighbours become a range (RFC 5267, section 3.2).
func (r *result) ranges() func(yield func(lo, hi uint32) bool) {
	switch {
	case r.set == nil:
		return r.runs
	case r.uid:
		return uidRanges(r.set)
	}
	return r.session.view.Seqs(r.set)
}

func (r *result) runs(yield func(lo, hi uint32) bool) {
	for i := 0; i < len(r.order); {
		lo := r.number(r.order[i])
		hi := lo
		for i++; i < len(r.order) && r.number(r.order[i]) == hi+1; i++ {
			hi++
		}
		if !yield(lo, hi) {
			return
		}
	}
}

// chosen are the messages that RETURN names: with MIN or MAX alone only those (RFC 5182, section 2.4;
// RFC 7162, section 3.1.5).
func (r *result) chosen(a *wire.Search, found *uidset.Set) *uidset.Set {
	out := uidset.New()
	switch {
	case a.Partial != nil: // RFC 9394, section 3.1
		out.Union(r.part(a.Partial).members())
	case a.All || a.Count || !a.Min && !a.Max || r.len() == 0:
		return found.Clone()
	}
	if a.Min && r.len() > 0 {
		out.Add(r.at(1))
	}
	if a.Max && r.len() > 0 {
		out.Add(r.at(r.len()))
	}
	return out
}

// part is a window of the result.
func (r *result) part(p *wire.Partial) *result {
	out := *r
	from, to := p.Of(r.len())
	switch {
	case from > to:
		out.set, out.order = nil, nil
	case r.set != nil:
		out.set = between(r.set, from, to)
	default:
		out.order = r.order[from-1 : to]
	}
	return &out
}

// members is the result as a set.
func (r *result) members() *uidset.Set {
	if r.set != nil {
		return r.set
	}
	out := uidset.New()
	for _, u := range r.order {
		out.Add(u)
	}
	return out
}

// between gives the members of a set from one position to another, counted from 1.
func between(set *uidset.Set, from, to int) *uidset.Set {
	lo, _ := set.At(from)
	hi, _ := set.At(to)
	return set.Intersect(uidset.Of(index.UIDRange{Lo: lo, Hi: hi}))
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

// tellSearch writes the SEARCH response of RFC 3501, section 7.2.5, or the SORT response.
func (s *Session) tellSearch(name string, r *result) {
	s.w.Raw("* ")
	s.w.Raw(name)
	r.ranges()(func(lo, hi uint32) bool {
		for n := uint64(lo); n <= uint64(hi); n++ {
			s.w.Byte(' ')
			s.w.Num(n)
		}
		return s.w.Err() == nil
	})
	if r.modSeq > 0 && r.len() > 0 {
		s.w.Raw(" (MODSEQ ")
		s.w.Num(uint64(r.modSeq))
		s.w.Byte(')')
	}
	s.w.CRLF()
}

// tellESearch writes the ESEARCH response.
func (s *Session) tellESearch(cmd *wire.Command, a *wire.Search, r *result) {
	if e, ok := esearch(cmd, a, r); ok {
		s.w.ESearch(e)
	}
}

// esearch makes the ESEARCH response; with SAVE alone there is none. With PARTIAL, RELEVANCY is of
// the window. MIN and MAX of a SORT are
// the first and the last of its order (RFC 5267, section 3.1).
func esearch(cmd *wire.Command, a *wire.Search, r *result) (wire.ESearch, bool) {
	if a.Return && a.Save && !a.Min && !a.Max && !a.All && !a.Count && !a.Relevancy && a.Partial == nil {
		return wire.ESearch{}, false
	}
	e := wire.ESearch{Tag: cmd.Tag, UID: cmd.UID, HasCount: a.Count, Count: uint64(r.len())}
	if r.len() > 0 {
		e.HasMin, e.HasMax = a.Min, a.Max
		e.Min, e.Max = r.number(r.at(1)), r.number(r.at(r.len()))
		if a.All || !a.Return {
			e.All = r.ranges()
		}
		e.ModSeq = uint64(r.modSeq)
	}
	told := r
	if e.Partial = a.Partial; e.Partial != nil {
		if told = r.part(a.Partial); told.len() > 0 {
			e.Part = told.ranges()
		}
	}
	if a.Relevancy {
		e.Relevancy = told.relevancies()
	}
	return e, true
}

// relevancies gives how relevant the messages are, in their order.
func (r *result) relevancies() []int {
	out := make([]int, 0, r.len())
	if r.set == nil {
		for _, u := range r.order {
			out = append(out, r.scores.of(u))
		}
		return out
	}
	for u := range r.set.All() {
		out = append(out, r.scores.of(u))
	}
	return out
}
