package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/uidset"
)

// maxContexts is how many results a session keeps up to date; each holds the set of its messages.
const maxContexts = 8

// searchContext is the result of a SEARCH or SORT that is kept up to date (RFC 5267, section 4.3).
//
// Invariant: set is what the client has been told.
type searchContext struct {
	tag   string
	uid   bool // messages are told by UID
	key   wire.SearchKey
	set   *uidset.Set
	order *sorting   // of SORT, else nil; it has the members of set
	fetch *fetchPlan // what to tell of messages that are added (RFC 5465, section 7); nil is nothing
}

// context finds the result of the SEARCH that had a tag.
func (s *Session) context(tag string) *searchContext {
	for _, c := range s.contexts {
		if c.tag == tag {
			return c
		}
	}
	return nil
}

// keepContext keeps a result up to date from now on, or tells that it will not be. order is that of a SORT.
func (s *Session) keepContext(cmd *wire.Command, a *wire.Search, found *uidset.Set, order *sorting) {
	if !a.Update {
		return
	}
	if len(s.contexts) >= maxContexts || !steady(&a.Key) || order != nil && !order.keepable() {
		s.refuseContext(cmd.Tag)
		return
	}
	if order != nil { // without those that were gone when it was made
		found = membersOf(order.rows)
	}
	c := &searchContext{tag: cmd.Tag, uid: cmd.UID, key: a.Key, set: found.Intersect(s.view.UIDs()), order: order}
	if a.UpdateFetch != nil {
		plan := newFetchPlan(&wire.Fetch{Items: a.UpdateFetch}, cmd.UID)
		plan.seen = false // the client has not asked for the message itself
		c.fetch = &plan
	}
	s.contexts = append(s.contexts, c)
}

// refuseContext tells that a result will not be kept up to date (RFC 5267, section 4.3.1).
func (s *Session) refuseContext(tag string) {
	s.w.StatusLine("*", wire.NO, fmt.Sprintf("NOUPDATE \"%s\"", tag), "the result will not be kept up to date")
}

// steady reports whether what a search program finds only changes with the messages. Message numbers and ages
// mean other messages later, without any of these having changed.
func steady(k *wire.SearchKey) bool {
	switch k.Op {
	case wire.SearchOlder, wire.SearchYounger:
		return false
	case wire.SearchUID:
		return !k.Set.Saved
	case wire.SearchSeq:
		return wholeMailbox(k.Set)
	}
	for i := range k.Keys {
		if !steady(&k.Keys[i]) {
			return false
		}
	}
	return true
}

// wholeMailbox reports whether a set is 1:*.
func wholeMailbox(set wire.NumSet) bool {
	return len(set.Ranges) == 1 && set.Ranges[0] == wire.NumRange{Lo: 1, Hi: wire.Star}
}

// leave takes messages out of the contexts that are about to be told as expunged, while they still have their
// numbers.
func (s *Session) leave(gone *uidset.Set) {
	for _, c := range s.contexts {
		if left := c.set.Intersect(gone); left.Len() > 0 {
			s.tellContext(c, s.removeFrom(c, left), nil)
		}
	}
}

// updateContexts tells how messages that changed or came have changed results. The cost is that of searching
// these messages.
func (s *Session) updateContexts(ctx context.Context, changed *uidset.Set) error {
	if len(s.contexts) == 0 || changed.Len() == 0 {
		return nil
	}
	touched := changed.Intersect(s.view.UIDs())
	for _, c := range s.contexts {
		if err := s.updateContext(ctx, c, touched); err != nil {
			return err
		}
	}
	s.contexts = slices.DeleteFunc(s.contexts, func(c *searchContext) bool {
		if c.order == nil || c.order.keepable() {
			return false
		}
		s.refuseContext(c.tag)
		return true
	})
	return s.w.Err()
}

func (s *Session) updateContext(ctx context.Context, c *searchContext, touched *uidset.Set) error {
	criterion, err := s.compile(&c.key)
	if err != nil {
		return err
	}
	found, err := s.find(ctx, &criterion, touched, nil)
	if err != nil {
		return err
	}
	found = found.Intersect(touched)
	gone, fresh := touched.Intersect(c.set), found.Clone()
	gone.Subtract(found)
	fresh.Subtract(c.set)
	if gone.Len() == 0 && fresh.Len() == 0 {
		return nil
	}
	var rows []row
	if c.order != nil {
		if rows, err = s.rows(ctx, fresh, c.order.criteria, nil); err != nil {
			return err
		}
		fresh = membersOf(rows) // what is gone has no place in an order
	}
	if c.fetch != nil && fresh.Len() > 0 {
		if err := s.fetchFresh(ctx, c.fetch, fresh); err != nil {
			return err
		}
	}
	removed := s.removeFrom(c, gone)
	s.tellContext(c, removed, s.addTo(c, fresh, rows))
	return s.w.Err()
}

// removeFrom takes messages out of a result. Those of a SEARCH have no position but their number.
func (s *Session) removeFrom(c *searchContext, gone *uidset.Set) []wire.ESearchChange {
	c.set.Subtract(gone)
	if c.order != nil {
		return s.changes(c, c.order.remove(gone))
	}
	return s.byNumber(c, gone)
}

// addTo puts messages into a result; rows are they in the order of a SORT.
func (s *Session) addTo(c *searchContext, fresh *uidset.Set, rows []row) []wire.ESearchChange {
	c.set.Union(fresh)
	if c.order != nil {
		return s.changes(c, c.order.add(rows))
	}
	return s.byNumber(c, fresh)
}

// byNumber are changes of a SEARCH.
func (s *Session) byNumber(c *searchContext, set *uidset.Set) []wire.ESearchChange {
	if set.Len() == 0 {
		return nil
	}
	return []wire.ESearchChange{{Set: (&result{session: s, uid: c.uid, set: set}).ranges()}}
}

// changes are those of a SORT.
func (s *Session) changes(c *searchContext, pieces []piece) (out []wire.ESearchChange) {
	for _, p := range pieces {
		out = append(out, wire.ESearchChange{At: p.at, Set: (&result{session: s, uid: c.uid, order: uidsOf(p.rows)}).ranges()})
	}
	return out
}

// tellContext writes an ESEARCH response of changes (RFC 5267, sections 4.3.3 and 4.3.4).
func (s *Session) tellContext(c *searchContext, removed, added []wire.ESearchChange) {
	if len(removed)+len(added) > 0 {
		s.w.ESearch(wire.ESearch{Tag: c.tag, UID: c.uid, Removed: removed, Added: added})
	}
}

// fetchFresh tells of messages what was asked for beforehand.
func (s *Session) fetchFresh(ctx context.Context, plan *fetchPlan, uids *uidset.Set) error {
	f := fetching{Session: s, plan: *plan}
	size := fetchBatch
	if plan.body {
		size = bodyBatch
	}
	for batch := range uids.Batches(size) {
		if err := f.batch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// above gives the members of a set above a UID.
func above(set *uidset.Set, u index.UID) *uidset.Set {
	if set.Max() <= u {
		return uidset.New()
	}
	return set.Intersect(uidset.Of(index.UIDRange{Lo: u + 1, Hi: set.Max()}))
}

// cancelUpdate is CANCELUPDATE (RFC 5267, section 4.3.5).
func (s *Session) cancelUpdate(_ context.Context, cmd *wire.Command) (reply, error) {
	tags := cmd.Args.(*wire.CancelUpdate).Tags
	for _, tag := range tags {
		if s.context(tag) == nil {
			return bad("no result of that tag is kept up to date"), nil
		}
	}
	for _, tag := range tags {
		for i, c := range s.contexts {
			if c.tag == tag {
				s.contexts = append(s.contexts[:i], s.contexts[i+1:]...)
				break
			}
		}
	}
	return reply{}, nil
}
