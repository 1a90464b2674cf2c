// Package inbound decides what becomes of a message that comes in: taken, put to Junk, refused, or put off. Facts about
// it come in, with the policy of who is to get it, and a verdict comes out that says which rule decided and what each
// check found, so that every decision can be told (`rookery trace`), replayed (`rookery explain`), and tested as text.
//
// It checks nothing itself, asks nobody, and delivers nothing: the checks are packages of their own (mta/spf, mta/dkim,
// mta/dmarc, mta/filter, mta/bayes and others), and cmd/internal/node joins them.
package inbound

import (
	"net/netip"
	"strings"

	"github.com/rookery-mail/rookery/mta"
)

// Finding is what one check found: one line of a message's story.
type Finding struct {
	Check  string  `json:"check"`            // iprev, spf, dkim, arc, dmarc, dnsbl, helo, sender, greylist, rate, early, KIND:NAME of a filter, bayes, list, from, sieve
	Result string  `json:"result"`           // one word, such as pass
	Score  float64 `json:"score"`            // what it adds; above 0 speaks for spam
	Detail string  `json:"detail,omitempty"` // in words, such as "192.0.2.1 of example.org by include:example.net"
}

// The names of checks that this package speaks of.
const (
	CheckIPRev = "iprev"
	CheckSPF   = "spf"
	CheckHelo  = "spf-helo" // SPF of the greeting; what else is odd about that is "helo"
	CheckDKIM  = "dkim"
	CheckARC   = "arc"
	CheckDMARC = "dmarc"
	CheckFrom  = "from"
	CheckList  = "list"
	CheckBayes = "bayes"
)

// Facts are what is known of a message, and of it for one recipient.
type Facts struct {
	Client   Client
	Envelope mta.Envelope
	Author   Author
	Auth     Authentication
	Findings []Finding // of connection and envelope, in the order in which they were made
	Filters  []FilterResult
	Learned  *Learned // what the classifier thinks; nil: it does not know enough
	// Late is what the checks were still waiting for when the time for the message was over; empty: they ended.
	Late string
	// MailingList is the list that the message says it comes by (List-Id, RFC 2919), or "".
	MailingList string
}

// Client is who brought a message.
type Client struct {
	Address   netip.Addr
	Name      string // that its address has, both ways (iprev); "" without one
	Helo      string
	Login     string // who had logged in; "" for nobody
	Unchecked bool   // it is in a network that is not checked (setting unchecked_networks)
}

// Author is what the From field says (RFC 5322, section 3.6.2).
type Author struct {
	Fields    int      // how many From fields there are; one is right
	Addresses []string // of all of them, in order
}

// Domains are the domains of the addresses, each once, in lower case.
func (a Author) Domains() []string {
	var out []string
	seen := map[string]bool{}
	for _, address := range a.Addresses {
		if d := domainOf(address); d != "" && !seen[d] {
			seen[d] = true
			out = append(out, d)
		}
	}
	return out
}

// Authentication is what is known of who sent a message. Results are the words of RFC 8601, section 2.7.
type Authentication struct {
	IPRev Result
	SPF   Result // of the envelope's sender
	Helo  Result // of the name in the greeting, by SPF
	DKIM  []Result
	ARC   Chain
	DMARC DMARC
}

// Result is what one way of authentication gave.
type Result struct {
	Result  string // pass, fail, softfail, neutral, none, policy, temperror, permerror; "" is not checked
	Domain  string // that it speaks for; of iprev the name
	Aligned bool   // the domain is aligned with that of the From field (RFC 7489, section 3.1)
	Detail  string
}

// Chain is what the chain of seals of those who passed a message on is worth (RFC 8617).
type Chain struct {
	Result  string // none, pass, fail
	Sealer  string // the domain of the newest seal
	Trusted bool   // the operator trusts it (setting arc_trusted)
	Detail  string
}

// DMARC is what the domain of the From field asks for, and whether it is due (RFC 7489).
type DMARC struct {
	Result string // pass, fail, none, temperror, permerror
	Asked  string // none, quarantine, reject: what the domain wants for mail that fails
	Domain string // that has the policy
	Detail string
}

// FilterResult is what a filter of the operator's said.
type FilterResult struct {
	Name     string     // as in findings: rspamd:main
	Findings []Finding  // at least one
	Refuse   *mta.Reply // it refuses the message, or puts it off; nil: it does not
	Junk     bool
	Virus    string // the name of what it found; ""
	Spam     bool   // Refuse is since the message looks like spam: an allowed sender may send it
	// Failed is why it could not be asked where the operator wants no mail without it (fail closed); "" otherwise.
	Failed string
}

// Learned is what the classifier thinks of a message for one account.
type Learned struct {
	Probability float64 // of spam, 0 to 1
	Score       float64
	Detail      string
}

// Action is what becomes of a message for one recipient, the worse the greater.
type Action int

// The actions.
const (
	Accept Action = iota // into the mailbox that it is for
	Junk                 // into Junk
	Defer                // a reply that has the client come again
	Refuse               // a reply that says no
)

// String gives the action as it is told.
func (a Action) String() string { return [...]string{"accept", "junk", "defer", "refuse"}[a] }

// Verdict is what is decided, and why.
type Verdict struct {
	Action   Action
	Score    float64 // the sum of the findings' scores
	Findings []Finding
	Rule     string     // that decided, in words
	Reply    *mta.Reply // of Refuse and Defer; nil of the others
}

func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}
