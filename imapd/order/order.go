// Package order puts messages in order: the keys by which SORT compares them (RFC 5256, RFC 5957) and
// the trees that THREAD makes of them. It reads no store and writes no responses.
package order

import (
	"encoding/binary"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
)

// Sent is the time by which messages are put in order: that of the Date field, or the internal date
// where there is none (RFC 5256, section 2.2).
func Sent(m *access.Message) time.Time {
	if m.SentDate.IsZero() {
		return m.InternalDate
	}
	return m.SentDate
}

// Key is a message's sort key: compared octet by octet, keys are in the order of the criteria. Messages
// with the same key stay in the order of their numbers, REVERSE or not (RFC 5256, section 3). relevancy is from 1 to
// 100; the most relevant comes first (RFC 6203, section 6).
func Key(m *access.Message, relevancy int, criteria []wire.SortCriterion) string {
	var key []byte
	var e *indexpb.Envelope
	for _, c := range criteria {
		start := len(key)
		switch c.By {
		case wire.SortArrival:
			key = appendTime(key, m.InternalDate)
		case wire.SortDate:
			key = appendTime(key, Sent(m))
		case wire.SortSize:
			key = binary.BigEndian.AppendUint64(key, m.Size)
		case wire.SortRelevancy:
			key = append(key, byte(100-relevancy))
		default:
			if e == nil {
				e = m.Envelope()
			}
			key = appendText(key, text(e, c.By))
		}
		if c.Reverse {
			for i := start; i < len(key); i++ {
				key[i] = ^key[i]
			}
		}
	}
	return string(key)
}

func appendTime(key []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(key, uint64(t.UnixMilli())^1<<63) // negative ones come first
}

// maxText bounds the octets of a text that are compared.
const maxText = 1 << 10

// appendText ends a text with NUL, so that a text comes before the ones that it begins.
func appendText(key []byte, s string) []byte {
	if s = Fold(s); len(s) > maxText {
		s = s[:maxText]
	}
	return append(append(key, strings.ReplaceAll(s, "\x00", "")...), 0)
}

// Fold makes of a text what i;unicode-casemap compares (RFC 5051, section 2): title case, decomposed.
func Fold(s string) string {
	return norm.NFKD.String(strings.Map(unicode.ToTitle, s))
}

// text is what a criterion compares of an envelope, decoded.
func text(e *indexpb.Envelope, by wire.SortBy) string {
	switch by {
	case wire.SortSubject:
		base, _ := message.BaseSubject(e.Subject)
		return base
	case wire.SortCc:
		return mailboxOf(e.Cc)
	case wire.SortFrom:
		return mailboxOf(e.From)
	case wire.SortTo:
		return mailboxOf(e.To)
	case wire.SortDisplayFrom:
		return displayed(e.From)
	case wire.SortDisplayTo:
		return displayed(e.To)
	}
	return ""
}

// mailboxOf is the mailbox part of the first address (RFC 5256, section 3).
func mailboxOf(list []*indexpb.Address) string {
	if len(list) == 0 {
		return ""
	}
	return string(list[0].Mailbox)
}

// displayed is the first address as people see it: its name, a group's name, or the address itself
// (RFC 5957, section 2).
func displayed(list []*indexpb.Address) string {
	switch {
	case len(list) == 0:
		return ""
	case len(list[0].Name) > 0:
		return message.DecodeHeader(list[0].Name)
	case list[0].Host == nil:
		return message.DecodeHeader(list[0].Mailbox)
	}
	return string(list[0].Mailbox) + "@" + string(list[0].Host)
}
