// Package spf says whether a host may send mail for a domain (RFC 7208). DNS comes in as an interface, the time as a value;
// what is done with the answer is not decided here.
package spf

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// Result is what a check comes to (RFC 7208, section 2.6).
type Result string

// The results, with the words that RFC 8601, section 2.7.2, has for them.
const (
	None      Result = "none"      // the domain says nothing, or is none
	Neutral   Result = "neutral"   // the domain says that it does not say
	Pass      Result = "pass"      // the host may
	Fail      Result = "fail"      // the host may not
	SoftFail  Result = "softfail"  // the host probably may not
	TempError Result = "temperror" // DNS gives no answer for now
	PermError Result = "permerror" // what the domain says cannot be understood
)

// Identity is whose right to send is asked about (RFC 7208, section 2).
type Identity string

// The identities, as Authentication-Results names them.
const (
	MailFrom Identity = "mailfrom"
	Helo     Identity = "helo"
)

// Resolver answers questions of DNS. That there is nothing is an empty list without an error, whether the name is there or
// not; an error is temporary. Names come and go without their last dot.
type Resolver interface {
	Texts(ctx context.Context, name string) ([]string, error) // TXT, the strings of each put together
	A(ctx context.Context, name string) ([]netip.Addr, error)
	AAAA(ctx context.Context, name string) ([]netip.Addr, error)
	Exchangers(ctx context.Context, name string) ([]string, error) // hosts of MX; "" is that of a null MX
	Names(ctx context.Context, address netip.Addr) ([]string, error)
}

// Query is who sends.
type Query struct {
	Client netip.Addr // IPv4 in IPv6 counts as IPv4
	Helo   string     // as the client says
	From   string     // the reverse-path; empty asks about the HELO identity (RFC 7208, section 2.4)

	Receiver string    // our host, for %{r} of explanations; empty: "unknown"
	Time     time.Time // for %{t} of explanations
}

// OfHelo is the query about the HELO identity (RFC 7208, section 2.3).
func (q Query) OfHelo() Query {
	q.From = ""
	return q
}

// Outcome is the answer to a query.
type Outcome struct {
	Result   Result
	Identity Identity
	Domain   string // that was asked about, printable ASCII in lower case; empty where the query has none that can be asked about
	Sender   string // whole, "postmaster@" where there was no local part

	Term  string   // of a record, that decided; empty where no term did
	Path  []string // the domains whose records led to it, Domain first, by include and redirect
	Match string   // how the term came to fit, as "192.0.2.1 of mx.example.org"; empty where that says nothing

	Explanation string // what the domain says of a Fail (exp=), printable ASCII; words of a stranger
	Problem     string // why it is None, TempError or PermError
	Lookups     int    // terms that asked DNS, of MaxLookups
	Voids       int    // terms among them to which there was no answer, of MaxVoids
}

// Bounds (RFC 7208, section 4.6.4).
const (
	MaxLookups = 10 // terms that ask DNS
	MaxVoids   = 2  // of these, terms that find nothing
	MaxHosts   = 10 // MX hosts of a term, and names of the client that are looked at
)

// String tells the outcome in words, for a log or the story of a message.
func (o Outcome) String() string {
	var b strings.Builder
	b.WriteString(string(o.Result))
	if o.Domain != "" {
		b.WriteString(" for " + o.Domain)
	}
	if o.Term != "" {
		b.WriteString(" by " + o.Term)
		if n := len(o.Path); n > 1 {
			b.WriteString(" of " + o.Path[n-1])
		}
	}
	if o.Match != "" {
		b.WriteString(" (" + o.Match + ")")
	}
	if o.Problem != "" {
		b.WriteString(": " + o.Problem)
	}
	return b.String()
}
