package engine

import (
	"bytes"
	"time"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/index/search"
)

// verdict is whether a message matches, as far as what was read of it tells.
type verdict int8

const (
	no verdict = iota
	unknown
	yes
)

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// candidate is a message being searched. What is nil was not read yet.
type candidate struct {
	uid      index.UID
	state    index.FlagState
	summary  *access.Message
	envelope *indexpb.Envelope
	octets   *octets
	reader   *search.Reader // memory; nil together with summary
	likes    []liking       // of the fuzzy texts that were looked for so far
}

// matches decides a criterion. An error is of reading octets.
func (c *candidate) matches(k *criterion) (verdict, error) {
	switch k.op {
	case wire.SearchAnd, wire.SearchOr:
		return c.combine(k)
	case wire.SearchNot:
		v, err := c.matches(&k.keys[0])
		return yes - v, err
	}
	switch {
	case k.cost == costSummary && c.summary == nil, k.cost == costBody && c.octets == nil:
		return unknown, nil
	case k.cost == costSummary:
		return verdictOf(c.summaryMatches(k)), nil
	case k.cost == costBody:
		return c.octetsMatch(k)
	}
	switch k.op {
	case wire.SearchSeq, wire.SearchUID:
		return verdictOf(k.set.Contains(c.uid)), nil
	case wire.SearchFlag:
		if k.system != 0 {
			return verdictOf(c.state.System&k.system != 0), nil
		}
		return verdictOf(hasKeyword(c.state.Keywords, k.keyword)), nil
	case wire.SearchModSeq:
		return verdictOf(uint64(c.state.ModSeq) >= k.n), nil
	}
	return verdictOf(k.op == wire.SearchAll), nil
}

// combine decides AND and OR; the first key that settles it ends it.
func (c *candidate) combine(k *criterion) (verdict, error) {
	settles, result := no, yes
	if k.op == wire.SearchOr {
		settles, result = yes, no
	}
	for i := range k.keys {
		v, err := c.matches(&k.keys[i])
		if err != nil || v == settles {
			return v, err
		}
		if v == unknown {
			result = unknown
		}
	}
	return result, nil
}

// octetsMatch decides the criteria of costBody.
func (c *candidate) octetsMatch(k *criterion) (verdict, error) {
	if k.like == nil {
		ok, err := c.octets.match(k)
		return verdictOf(ok), err
	}
	score, err := c.octets.likeness(k)
	return verdictOf(c.liken(k, score)), err
}

// summaryMatches decides the criteria of costSummary.
func (c *candidate) summaryMatches(k *criterion) bool {
	m := c.summary
	switch k.op {
	case wire.SearchEmailID:
		return emailID(m.BodyID) == k.field
	case wire.SearchLarger:
		return m.Size > k.n
	case wire.SearchSmaller:
		return m.Size < k.n
	case wire.SearchSavedBefore, wire.SearchSavedOn, wire.SearchSavedSince:
		return k.within(m.SaveDate.UTC())
	case wire.SearchSentBefore, wire.SearchSentOn, wire.SearchSentSince:
		if m.SentDate.IsZero() {
			return false
		}
		// The date as the sender wrote it (RFC 9051, section 6.4.4: time and zone are disregarded).
		return k.within(m.SentDate.UTC().Add(time.Duration(m.SentZone) * time.Minute))
	case wire.SearchHeader:
		return c.envelopeMatches(k)
	}
	return k.within(m.InternalDate.UTC())
}

// envelopeMatches decides the header fields that the envelope holds.
func (c *candidate) envelopeMatches(k *criterion) bool {
	if k.like != nil {
		m := k.like.Match()
		c.envelopeTexts(k.field, func(text string) bool { return m.Text(search.Fold(text), true) })
		return c.liken(k, m.Score())
	}
	if !spansAddress(k.text) && c.reader.RulesOut(c.summary.EncodedEnvelope, k.text) {
		return false
	}
	found := false
	c.envelopeTexts(k.field, func(text string) bool {
		found = search.Holds(text, k.text)
		return !found
	})
	return found
}

// envelopeTexts calls fn with the texts of a field that the envelope holds, decoded, until fn returns false.
func (c *candidate) envelopeTexts(field string, fn func(text string) bool) {
	if c.envelope == nil {
		c.envelope = c.summary.Envelope()
	}
	e := c.envelope
	var text []byte
	switch field {
	case "from":
		addresses(e.From, fn)
	case "to":
		addresses(e.To, fn)
	case "cc":
		addresses(e.Cc, fn)
	case "bcc":
		addresses(e.Bcc, fn)
	case "subject":
		if e.Subject != nil {
			fn(message.DecodeHeader(e.Subject))
		}
	case "message-id":
		text = e.MessageId
	case "in-reply-to":
		text = e.InReplyTo
	default:
		text = e.Date
	}
	if text != nil {
		fn(string(text))
	}
}

// spansAddress reports whether text may be found in an address as people write it though in none of its parts.
func spansAddress(text []byte) bool {
	return bytes.ContainsAny(text, "<@>") || bytes.HasSuffix(text, []byte(" "))
}

// addresses calls fn with the addresses of a list as people write them, until fn returns false.
func addresses(list []*indexpb.Address, fn func(text string) bool) {
	for _, a := range list {
		if !fn(search.Written(a)) {
			return
		}
	}
}
