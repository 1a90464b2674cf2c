// Package policy decides on clients of port 25 before they hand over a message: by what DNS says of their address and of the
// sender's domain, by how they greet, and by whether they wait for their turn. Facts in, findings and a refusal out. It asks
// nobody and counts nothing; lists are mta/dnsbl, rates mta/meter, greylisting mta/greylist.
package policy

import (
	"fmt"
	"net/netip"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// Mode is what becomes of what a check finds.
type Mode string

// The modes.
const (
	Off    Mode = "off"    // it is not looked at
	Score  Mode = "score"  // it counts against the message
	Refuse Mode = "refuse" // it is refused, where the check is sure; else it counts
)

// The scores of what is found. About 2 makes a client suspicious, about 6 a message unwanted.
const (
	noNames     = 2.0 // the address has no name
	unconfirmed = 1.0 // it has one that does not lead back
	dynamic     = 1.5 // its name is one of many that a provider makes
	heloOurs    = 5.0 // it greets as us
	heloBare    = 1.5 // it greets with a word that is no host
	heloAddress = 2.0 // with an address that is not its own
	heloUnknown = 1.0 // with a name that DNS does not know
	talksEarly  = 4.0
	senderGone  = 5.0
	senderMute  = 3.0 // the sender's domain takes no mail
)

// Knowledge says how an answer of DNS came out.
type Knowledge int

// The outcomes.
const (
	Known   Knowledge = iota
	Missing           // there is none
	Unclear           // DNS gave no answer in time
)

// Reverse is what DNS says of a client's address.
type Reverse struct {
	State     Knowledge
	Names     []string // of the address (PTR)
	Confirmed string   // one of them that leads back to the address, or empty (FCrDNS; RFC 8601, section 3)
}

// Name is the best that there is to call a client by; empty where there is none.
func (r Reverse) Name() string {
	if r.Confirmed == "" && len(r.Names) > 0 {
		return r.Names[0]
	}
	return r.Confirmed
}

// JudgeReverse says what the names of an address are worth.
func JudgeReverse(addr netip.Addr, r Reverse, m Mode) (inbound.Finding, *mta.Reply) {
	f := inbound.Finding{Check: "reverse"}
	switch {
	case m == Off:
		return inbound.Finding{}, nil
	case r.State == Unclear && r.Confirmed == "":
		f.Result, f.Detail = "temperror", fmt.Sprintf("DNS does not say the names of %v", addr)
		return f, nil
	case len(r.Names) == 0:
		f.Result, f.Score, f.Detail = "fail", noNames, fmt.Sprintf("%v has no name", addr)
	case r.Confirmed == "":
		f.Result, f.Score, f.Detail = "fail", unconfirmed, fmt.Sprintf("%v is called %s, which does not lead back", addr, clean(r.Names[0]))
	case Dynamic(r.Confirmed, addr):
		f.Result, f.Score, f.Detail = "pass", dynamic, fmt.Sprintf("%v is %s, a name as providers make them by the thousand", addr, clean(r.Confirmed))
		return f, nil
	default:
		f.Result, f.Detail = "pass", fmt.Sprintf("%v is %s", addr, clean(r.Confirmed))
		return f, nil
	}
	if m == Refuse && len(r.Names) == 0 {
		return f, mta.Replyf(550, mta.BadReverse, "Your address %v has no name in DNS", addr)
	}
	return f, nil
}

// JudgeEarly says what it is worth that a client talked when it was not its turn. what says how.
func JudgeEarly(what string, m Mode) (inbound.Finding, *mta.Reply) {
	if m == Off {
		return inbound.Finding{}, nil
	}
	f := inbound.Finding{Check: "early", Result: "fail", Score: talksEarly, Detail: "it " + what}
	if m == Refuse {
		return f, mta.Replyf(554, mta.BadSequence, "You do not wait for replies: your program %s", what)
	}
	return f, nil
}

// clean makes octets of others fit into one line of a story.
func clean(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c < ' ' || c == 0x7f {
			b[i] = '?'
		}
	}
	return string(b[:min(len(b), 255)])
}
