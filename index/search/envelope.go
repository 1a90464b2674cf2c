package search

import (
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
)

// Written gives an address as people write it, its name decoded: the text that SEARCH FROM, TO, CC and BCC look in.
func Written(a *indexpb.Address) string {
	return message.DecodeHeader(a.Name) + " <" + string(a.Mailbox) + "@" + string(a.Host) + ">"
}

// EnvelopeTexts calls fn with every text of an envelope that SEARCH looks in. Such a text need not be in the
// header as it is, nor may it: an address is put together of its parts.
func EnvelopeTexts(e *indexpb.Envelope, fn func(text string)) {
	for _, list := range [][]*indexpb.Address{e.From, e.To, e.Cc, e.Bcc} {
		for _, a := range list {
			fn(Written(a))
		}
	}
	fn(message.DecodeHeader(e.Subject))
	for _, text := range [][]byte{e.MessageId, e.InReplyTo, e.Date} {
		fn(string(text))
	}
}
