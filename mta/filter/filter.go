// Package filter is about the programs beside Rookery that judge mail that comes in: what they are asked, what they say, what is
// done about it, and what a message is after they changed it. Their protocols are spoken by mta/filter/milter, rspamd,
// spamd and clamd; mta/filter/chain asks them in their order. This package connects to nothing, and does not decide where a message
// goes: that is mta/inbound, which gets the Outcome.
package filter

import (
	"io"
	"net/netip"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// Kind is the protocol that a filter speaks.
type Kind string

// The kinds.
const (
	Milter Kind = "milter" // version 6 of the protocol of Sendmail, and those before from 2
	Rspamd Kind = "rspamd" // HTTP, /checkv2
	Spamd  Kind = "spamd"  // SpamAssassin's SPAMC/1.5
	Clamd  Kind = "clamd"  // ClamAV's INSTREAM
)

// TLS is how the connection was protected that a message came by.
type TLS struct {
	Version string // TLSv1.3
	Cipher  string // TLS_AES_128_GCM_SHA256
	Bits    int    // of the cipher's key
}

// Client is who sent a message.
type Client struct {
	Remote netip.AddrPort
	Local  netip.AddrPort
	Name   string // of the address where DNS confirms it (iprev); else empty
	Hello  string // what HELO or EHLO said
	Login  string // empty without authentication
	TLS    *TLS   // nil without
}

// Message is what filters judge. Each sees it as those before it left it.
type Message struct {
	ID         mta.ID
	Client     Client
	Server     string // our own name
	Envelope   mta.Envelope
	Recipients []string // that exist
	Text       io.ReaderAt
	Size       int64
	HeaderSize int64 // octets of Text up to its body, with the empty line
}

// Word is what a filter says of a message.
type Word string

// The words.
const (
	Pass       Word = "pass"       // nothing is wrong with it
	Suspicious Word = "suspicious" // more than nothing, less than spam
	Spam       Word = "spam"
	Virus      Word = "virus"
	Refuse     Word = "refuse" // it asks for 5yz
	Defer      Word = "defer"  // it asks for 4yz
	Quarantine Word = "quarantine"
	Discard    Word = "discard" // it asks for 250 and nothing more
)

// Symbol is a rule of a filter that fitted.
type Symbol struct {
	Name   string
	Score  float64
	Detail string
}

// Report is all that one filter says of a message.
type Report struct {
	Word     Word
	Score    float64
	Required float64 // of the score, for it to be spam; 0 where the filter has no scores
	Symbols  []Symbol
	Detail   string     // one line
	Virus    string     // its name
	Reply    *mta.Reply // that the filter wishes for Refuse or Defer; nil: ours
	Looks    bool       // Refuse is since the message looks like spam, and for no other reason
	Edits
}

// Edits are what a filter changes of a message.
type Edits struct {
	Changes    []Change // of the header, in order
	Body       []byte   // instead of the body; nil: none
	From       *string  // another reverse-path: told, not done
	Added      []string // recipients: told, not done
	Removed    []string // recipients: they get it in Junk
	Recipients []Refused
}

// Refused is a recipient that a filter refuses while it takes others.
type Refused struct {
	Recipient string
	Reply     *mta.Reply
}

// Outcome is what all filters together say.
type Outcome struct {
	Results []inbound.FilterResult // of those that were asked, or would have been, in their order
	Virus   string                 // the name of the first that was found, whatever is done about it
	Refused []Refused              // some of the recipients

	// Text, Size and HeaderSize are the message as the last filter left it; Changed says that it is not as it came.
	Text       io.ReaderAt
	Size       int64
	HeaderSize int64
	Changed    bool

	Removed []string // recipients that a filter takes away
}
