// Package view keeps what a client believes about its selected mailbox: which message has which
// number, and which changes it has been told (RFC 9051, sections 2.3.1.2 and 5.2). It turns changes of the
// store into what to tell, and message numbers into UIDs. It reads no store and writes no responses.
package view

import (
	"errors"
	"iter"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// ErrNoSuchNumber says that a command used a message number above the number of messages.
var ErrNoSuchNumber = errors.New("message number above the number of messages")

// View is the client's picture of a mailbox. It is for one goroutine. Its memory grows with the
// blocks of uidset, not with messages.
//
// Invariant: the n-th member of uids is the message that the client knows under the number n.
type View struct {
	uids  *uidset.Set // expunged ones included until the client was told
	gone  *uidset.Set // expunged, the client not yet told; all are in uids
	saved *uidset.Set // the result that SEARCH saved
	next  index.UID   // above each UID that ever was in uids
	since index.ModSeq
}

// New begins with the messages of a SELECT, which become the View's own, and the mailbox's UIDNEXT.
func New(uids *uidset.Set, next index.UID, at index.ModSeq) *View {
	return &View{uids: uids, gone: uidset.New(), saved: uidset.New(), next: next, since: at}
}

// Since is the modification sequence up to which changes were taken in.
func (v *View) Since() index.ModSeq { return v.since }

// Top is the highest UID that the client may have heard of.
func (v *View) Top() index.UID { return v.next - 1 }

// Len is the number of messages the client counts.
func (v *View) Len() uint32 { return uint32(v.uids.Len()) }

// UIDs are the messages the client counts. They are not to be changed.
func (v *View) UIDs() *uidset.Set { return v.uids }

// Seq is the number of a message, 0 where the client does not know it.
func (v *View) Seq(u index.UID) uint32 {
	if !v.uids.Contains(u) {
		return 0
	}
	return uint32(v.uids.Rank(u))
}

// Gone reports whether one of uids is known to be expunged though the client was not told yet.
func (v *View) Gone(uids *uidset.Set) bool {
	return v.gone.Len() > 0 && v.gone.Intersect(uids).Len() > 0
}

// Leaving gives the messages that Advance would tell as expunged, given ch and that it may.
func (v *View) Leaving(ch access.Changes) *uidset.Set {
	out := v.gone.Clone()
	if ch.Vanished != nil {
		out.Union(ch.Vanished.Intersect(v.uids))
	}
	return out
}

// Save keeps the result of a SEARCH for "$" (RFC 5182).
func (v *View) Save(uids *uidset.Set) { v.saved = uids }

// Resolve gives the messages that a set of a command names: UIDs, or message numbers. UIDs that
// are not there are passed over; a number that is not there is ErrNoSuchNumber, while "*" in an empty
// mailbox is nothing.
func (v *View) Resolve(set wire.NumSet, byUID bool) (*uidset.Set, error) {
	if set.Saved {
		return v.saved.Intersect(v.uids), nil
	}
	out := uidset.New()
	if byUID {
		lowest, highest := v.uids.Min(), v.uids.Max()
		for _, r := range set.Resolve(uint32(highest)) {
			lo, hi := max(index.UID(r.Lo), lowest), min(index.UID(r.Hi), highest)
			if lo != 0 && lo <= hi {
				out.AddRange(lo, hi)
			}
		}
		return out.Intersect(v.uids), nil
	}
	if set.Max() > v.Len() && v.Len() > 0 || v.Len() == 0 && len(set.Resolve(0)) > 0 {
		return nil, ErrNoSuchNumber
	}
	for _, r := range set.Resolve(v.Len()) {
		lo, _ := v.uids.At(int(r.Lo))
		hi, _ := v.uids.At(int(r.Hi))
		out.AddRange(lo, hi)
	}
	return out.Intersect(v.uids), nil
}

// Seqs gives the numbers of uids as ascending ranges that do not touch.
func (v *View) Seqs(uids *uidset.Set) iter.Seq2[uint32, uint32] {
	return func(yield func(lo, hi uint32) bool) {
		var lo, hi uint32
		for r := range uids.Intersect(v.uids).Ranges() {
			first, last := v.Seq(r.Lo), v.Seq(r.Hi)
			switch {
			case lo == 0:
				lo, hi = first, last
			case first == hi+1:
				hi = last
			default:
				if !yield(lo, hi) {
					return
				}
				lo, hi = first, last
			}
		}
		if lo != 0 {
			yield(lo, hi)
		}
	}
}

// Update is what to tell the client, in this order.
type Update struct {
	Expunged *uidset.Set      // nil where there are none
	Expunges iter.Seq[uint32] // the same as the numbers of EXPUNGE responses, in order
	Exists   bool             // the number of messages has grown
	Changed  *uidset.Set      // messages that the client knows and whose flags changed, as far as they are there
}

// Advance takes in changes that were read with Since and says what to tell. Without expunges, expunged
// messages keep their numbers until a later Advance may tell of them (RFC 9051, section 7.5.1).
func (v *View) Advance(ch access.Changes, expunges bool) Update {
	var up Update
	if ch.Vanished != nil {
		v.gone.Union(ch.Vanished.Intersect(v.uids))
	}
	if expunges && v.gone.Len() > 0 {
		up.Expunged = v.gone
		up.Expunges = numbers(v.uids.Clone(), v.gone)
		v.uids.Subtract(v.gone)
		v.gone = uidset.New()
	}
	up.Changed = uidset.New()
	if ch.Changed != nil {
		up.Changed = ch.Changed.Intersect(v.uids)
		if top := ch.Changed.Max(); top >= v.next {
			v.uids.Union(ch.Changed.Intersect(uidset.Of(index.UIDRange{Lo: v.next, Hi: top})))
			v.next = top + 1
			up.Exists = true
		}
	}
	v.since = max(v.since, ch.Mailbox.HighestModSeq)
	return up
}

// Rewind has the changes since then be told once more, since the client may not have heard of all.
func (v *View) Rewind(since index.ModSeq) { v.since = min(v.since, since) }

// numbers gives the message numbers of the EXPUNGE responses for gone, each after the ones before it
// took effect.
func numbers(before, gone *uidset.Set) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		removed := 0
		for r := range gone.Ranges() {
			seq := uint32(before.Rank(r.Lo) - removed)
			for range r.Hi - r.Lo + 1 {
				if !yield(seq) {
					return
				}
				removed++
			}
		}
	}
}
