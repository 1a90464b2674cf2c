// Package dmarc says whether the domain that a message shows as its author's stands behind it, and what the domain asks for where
// it does not (RFC 9989, and RFC 7489, which it replaces). SPF and DKIM were checked before; DNS comes in as an interface. What
// is done with the answer is not decided here.
package dmarc

import "context"

// Result is what a check comes to (RFC 8601, section 2.7, as registered by RFC 7489, section 11.2).
type Result string

// The results.
const (
	None      Result = "none" // no policy applies, or the message shows no author
	Pass      Result = "pass" // SPF or DKIM passed for a domain that is aligned with the author's
	Fail      Result = "fail"
	TempError Result = "temperror" // DNS gives no answer for now
	PermError Result = "permerror" // it cannot be told who the message shows as its author, nor that it is nobody's
)

// Policy is what a domain asks for where its mail does not pass (RFC 9989, section 4.7).
type Policy string

// The policies.
const (
	NoPolicy   Policy = "none"
	Quarantine Policy = "quarantine"
	Reject     Policy = "reject"
)

// Lookup answers questions of DNS. An error is temporary.
type Lookup interface {
	// Texts gives the TXT records of a name, the strings of each put together, none where there is none.
	Texts(ctx context.Context, name string) ([]string, error)
	// Exists reports whether a name is there at all: it is not where DNS says NXDOMAIN (RFC 8020).
	Exists(ctx context.Context, name string) (bool, error)
}

// Identifier is a domain with what a mechanism said of it.
type Identifier struct {
	Domain string
	Result string // "pass" counts, "temperror" keeps a failure from being final, all else is none
	Label  string // the selector of a signature, for the reason; may be empty
}

// Query is what is known of a message.
type Query struct {
	From []string     // the value of each From field, folds and all
	SPF  Identifier   // of the reverse-path, or of HELO where that is null (RFC 7208, section 2.4)
	DKIM []Identifier // d= of each signature that was verified
	// Draw is 0 to 99, at random: which messages an old record's pct= means (RFC 7489, section 6.6.4). 0 takes the policy in full, but
	// for pct=0.
	Draw int
}

// Outcome is the answer to a query.
type Outcome struct {
	Result Result
	From   string // the author's domain in A-labels, lower case; empty where there is not one
	// Forged says that it cannot be told who the author is: there are none or two From fields, it is no list of addresses (RFC 5322,
	// section 3.6.2), or one of several domains. Then all that follows is about the one of the domains that tells most against the
	// message; Result is Fail where that one fails, and Pass only where From is well formed and passes for each of them.
	Forged bool

	Record       Record
	PolicyDomain string // where Record was found; empty where there is none
	Organisation string // the organisational domain of From (RFC 9989, section 4.10.2)
	Asked        Policy // what the record asks for From, before Testing
	Policy       Policy // what it comes to: one step less where Testing
	Testing      bool   // t=y, or a pct= that leaves this message out

	SPFAligned  bool         // SPF passed for an aligned domain
	DKIMAligned []Identifier // the signatures that pass and are aligned
	Reason      string       // in words
}
