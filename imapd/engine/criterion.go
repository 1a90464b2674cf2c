package engine

import (
	"cmp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/search"
	"github.com/rookery-mail/rookery/index/search/likeness"
	"github.com/rookery-mail/rookery/index/uidset"
)

// cost is what has to be read of a message to decide a criterion.
type cost int

const (
	costSet     cost = iota // nothing: its number
	costFlags               // flags and modification sequence
	costSummary             // sizes, dates, envelope
	costBody                // its octets
)

// criterion is a search key made ready: sets are resolved, texts are in lower case, and of AND and OR
// the cheap ones come first.
type criterion struct {
	op       wire.SearchOp
	cost     cost
	keys     []criterion
	set      *uidset.Set
	system   index.Flags
	keyword  string
	field    string
	text     []byte
	like     *likeness.Needle // of a text under FUZZY; nil is exactly text
	from, to time.Time        // a stretch of time that a date names; zero is open
	n        uint64
}

// compile makes a search key ready.
func (s *Session) compile(key *wire.SearchKey) (criterion, error) {
	c := criterion{op: key.Op, field: key.Field, n: key.N}
	var err error
	switch key.Op {
	case wire.SearchAnd, wire.SearchOr, wire.SearchNot:
		for i := range key.Keys {
			k, err := s.compile(&key.Keys[i])
			if err != nil {
				return c, err
			}
			c.keys = append(c.keys, k)
			c.cost = max(c.cost, k.cost)
		}
		slices.SortStableFunc(c.keys, func(a, b criterion) int { return cmp.Compare(a.cost, b.cost) })
	case wire.SearchSeq, wire.SearchUID:
		c.set, err = s.view.Resolve(key.Set, key.Op == wire.SearchUID)
	case wire.SearchFlag:
		c.cost = costFlags
		if c.system = systemFlag(key.Text); c.system == 0 {
			c.keyword = key.Text
		}
	case wire.SearchModSeq:
		c.cost = costFlags
		s.useCondStore()
	case wire.SearchLarger, wire.SearchSmaller:
		c.cost = costSummary
	case wire.SearchEmailID:
		c.cost, c.field = costSummary, key.Text
	case wire.SearchHeader, wire.SearchBody, wire.SearchText:
		c.cost = textCost(key)
		err = c.setText(key)
	case wire.SearchAll, wire.SearchNone:
	default:
		c.cost = costSummary
		c.from, c.to = s.stretch(key)
	}
	return c, err
}

// setText makes the text of a key ready.
func (c *criterion) setText(key *wire.SearchKey) error {
	if !utf8.ValidString(key.Text) {
		return errCharset
	}
	c.text = search.Fold(key.Text)
	if key.Fuzzy {
		c.like = likeness.New(c.text) // nil for a text without words
	}
	return nil
}

func textCost(key *wire.SearchKey) cost {
	if key.Op != wire.SearchHeader {
		return costBody
	}
	switch key.Field {
	case "from", "to", "cc", "bcc", "subject", "message-id", "in-reply-to", "date":
		return costSummary
	}
	return costBody
}

// stretch gives the time that a date key means: from included, to not.
func (s *Session) stretch(key *wire.SearchKey) (from, to time.Time) {
	switch key.Op {
	case wire.SearchBefore, wire.SearchSentBefore, wire.SearchSavedBefore:
		return time.Time{}, key.Date
	case wire.SearchOn, wire.SearchSentOn, wire.SearchSavedOn:
		return key.Date, key.Date.AddDate(0, 0, 1)
	case wire.SearchSince, wire.SearchSentSince, wire.SearchSavedSince:
		return key.Date, time.Time{}
	}
	ago := s.c.Now().Add(-time.Duration(key.N) * time.Second)
	if key.Op == wire.SearchOlder {
		return time.Time{}, ago.Add(1)
	}
	return ago, time.Time{}
}

// within reports whether t is in the criterion's stretch of time.
func (c *criterion) within(t time.Time) bool {
	return (c.from.IsZero() || !t.Before(c.from)) && (c.to.IsZero() || t.Before(c.to))
}

// members gives the messages of all that a criterion of costSet matches, without looking at any.
func (c *criterion) members(all *uidset.Set) *uidset.Set {
	switch c.op {
	case wire.SearchSeq, wire.SearchUID:
		return c.set.Intersect(all)
	case wire.SearchAll:
		return all.Clone()
	case wire.SearchAnd:
		out := all.Clone()
		for i := range c.keys {
			out = out.Intersect(c.keys[i].members(all))
		}
		return out
	case wire.SearchOr:
		out := uidset.New()
		for i := range c.keys {
			out.Union(c.keys[i].members(all))
		}
		return out
	case wire.SearchNot:
		out := all.Clone()
		out.Subtract(c.keys[0].members(all))
		return out
	}
	return uidset.New()
}

// narrow gives the messages that may match as far as message numbers tell.
func (c *criterion) narrow(all *uidset.Set) *uidset.Set {
	if c.cost == costSet {
		return c.members(all)
	}
	out := all.Clone()
	if c.op == wire.SearchAnd {
		for i := range c.keys {
			if c.keys[i].cost == costSet {
				out = out.Intersect(c.keys[i].members(all))
			}
		}
	}
	return out
}

// decidedBy reports whether flags alone can rule messages out.
func (c *criterion) decidedBy(limit cost) bool {
	if c.op == wire.SearchAnd {
		return slices.ContainsFunc(c.keys, func(k criterion) bool { return k.cost == limit })
	}
	return c.cost == limit
}

// bodyDecides reports whether, of messages that numbers and flags leave, summaries can settle none.
func (c *criterion) bodyDecides() bool {
	if c.op != wire.SearchAnd {
		return c.bodyOnly()
	}
	for i := range c.keys {
		if k := &c.keys[i]; k.cost > costFlags && !k.bodyOnly() {
			return false
		}
	}
	return true
}

// bodyOnly reports whether nothing but octets decides any part of the criterion.
func (c *criterion) bodyOnly() bool {
	for i := range c.keys {
		if !c.keys[i].bodyOnly() {
			return false
		}
	}
	return c.cost == costBody
}
