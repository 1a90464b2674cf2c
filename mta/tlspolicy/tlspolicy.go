// Package tlspolicy decides what a host must show before it gets a message: of what the operator rules, what the message asks for
// (REQUIRETLS, RFC 8689), and what the host's domain publishes (DANE, RFC 7672; MTA-STS, RFC 8461), all that applies, none
// weaker by another. It connects to nothing; mta/remote does, and holds hosts to it.
package tlspolicy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/mta/dane"
	"github.com/rookery-mail/rookery/mta/mtasts"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Level is what TLS must give before a message is sent.
type Level int

// The levels.
const (
	Opportunistic Level = iota // TLS where it is offered, with any certificate (RFC 7435)
	Encrypted                  // TLS with any certificate
	Verified                   // TLS with a certificate that shows who the host is
)

// String gives the word of rules.
func (l Level) String() string {
	switch l {
	case Encrypted:
		return "encrypt"
	case Verified:
		return "verify"
	}
	return "may"
}

// ParseLevel reads the word of a rule.
func ParseLevel(word string) (Level, error) {
	for _, l := range []Level{Opportunistic, Encrypted, Verified} {
		if l.String() == word {
			return l, nil
		}
	}
	return 0, fmt.Errorf("%.40q is no level of TLS: use may, encrypt or verify", word)
}

// Rule is what the operator asks for.
type Rule struct {
	Level Level
	// Names are what a certificate may be for: a host, or .domain for all below it. None: the host itself. Not empty, they
	// hold for Verified, and DANE alone does not do.
	Names []string
	Route bool // it is that of a route
}

// Facts are what is known about a message and a host that it could go to.
type Facts struct {
	Domain string // whose mail it is
	Host   string
	// Known says that Host is certainly a host of Domain: DNSSEC says so, or the operator.
	Known bool
	Rule  Rule
	// Required is that the message came with REQUIRETLS.
	Required bool
	// Waived is that the message says "TLS-Required: No" (RFC 8689, section 3): what domains publish does not count then.
	Waived bool
	// TLSA are the records of the host, vouched for by DNSSEC; none where it has none, or none that are vouched for.
	TLSA []dane.Record
	Base string // the domain of the TLSA records (RFC 7672, section 2.2.3)
	// STS is the policy of Domain; nil: it has none.
	STS *mtasts.Policy
	// Text is that of STS, line by line.
	Text []string
}

// Basis is what asks for TLS. Its text begins a sentence.
type Basis string

// The bases, in the order in which one is told where several ask for the same.
const (
	ByRule     Basis = "A rule of ours"
	ByRoute    Basis = "The route"
	ByRequired Basis = "REQUIRETLS"
	ByDANE     Basis = "DANE"
	BySTS      Basis = "MTA-STS"
)

// Need is what a host must show.
type Need struct {
	Domain string
	Host   string
	Level  Level
	By     Basis  // empty where Level is Opportunistic
	Name   string // that the host is asked for in the handshake (SNI)
	// Extension says that the host must offer REQUIRETLS, and is told it.
	Extension bool
	// Records are TLSA records of which one must hold, for one of Bases; none: DANE is not used.
	Records []dane.Record
	Bases   []string
	// WebPKI says that the certificate must come from an authority that is trusted, for one of Names.
	WebPKI bool
	Names  []string
	Own    bool // and for Host besides
	// Watched is a policy in testing: what does not hold is reported and stops nothing.
	Watched bool
	// Outside says that Host is none of the Watched policy's.
	Outside bool

	// Kind, Text and Patterns are the policy as reports tell it (RFC 8460, section 4.4). Kind is empty where the domain's
	// policies were not asked for: there is nothing to report then.
	Kind     tlsrpt.Type
	Text     []string
	Patterns []string
	// Unusable says that no TLSA record is one that can be used.
	Unusable bool
}

// Decide says what a host must show. A host that can never do is a *Refusal.
func Decide(f Facts) (Need, error) {
	n := Need{Domain: f.Domain, Host: f.Host, Name: f.Host, Kind: tlsrpt.NoPolicy, Names: []string{f.Host}}
	n.rule(f)
	if f.Required {
		n.raise(Verified, ByRequired)
		n.Extension = true
	}
	if !f.Waived || f.Required {
		n.dane(f)
		if err := n.sts(f); err != nil {
			return n, err
		}
	} else {
		n.Kind = ""
	}
	if f.Required && len(n.Records) == 0 {
		// Somebody must vouch for the host's being the domain's (RFC 8689, section 4.2.1, step 2).
		if !f.Known && (f.STS == nil || f.STS.Mode == mtasts.None || n.Outside) {
			return n, n.refused(ByRequired, NoVoucher)
		}
		n.authority(f)
	}
	return n, nil
}

// authority asks for a certificate for the host, beside what a rule asks for.
func (n *Need) authority(f Facts) {
	n.WebPKI = true
	n.Own = len(f.Rule.Names) > 0
}

func (n *Need) raise(l Level, by Basis) {
	if l > n.Level {
		n.Level, n.By = l, by
	}
}

// refused is why the host gets no message, by what asks for it.
func (n Need) refused(by Basis, lack Lack) *Refusal {
	n.By = by
	return &Refusal{Need: n, Lack: lack}
}

func (n *Need) rule(f Facts) {
	if f.Rule.Level == Opportunistic {
		return
	}
	by := ByRule
	if f.Rule.Route {
		by = ByRoute
	}
	n.raise(f.Rule.Level, by)
	if f.Rule.Level == Verified {
		n.WebPKI = true
		if len(f.Rule.Names) > 0 {
			n.Names = f.Rule.Names
		}
	}
}

func (n *Need) dane(f Facts) {
	if len(f.TLSA) == 0 {
		return
	}
	n.Kind = tlsrpt.TLSA
	for _, r := range f.TLSA {
		n.Text = append(n.Text, r.String())
	}
	n.Name = f.Base
	n.Records = dane.Usable(f.TLSA)
	if len(n.Records) == 0 {
		n.Unusable = true
		n.raise(Encrypted, ByDANE) // RFC 7672, section 2.2
		return
	}
	n.raise(Verified, ByDANE)
	n.Bases = append(n.Bases, f.Base)
	for _, name := range []string{f.Host, f.Domain} {
		if name != f.Base && name != "" {
			n.Bases = append(n.Bases, name)
		}
	}
	if len(f.Rule.Names) == 0 {
		n.WebPKI = false // DANE shows who the host is as well
	}
}

func (n *Need) sts(f Facts) error {
	if f.STS == nil || f.STS.Mode == mtasts.None || len(n.Records) > 0 {
		return nil // where both are there, DANE decides (RFC 8461, section 2)
	}
	if n.Kind == tlsrpt.NoPolicy {
		n.Kind, n.Text, n.Patterns = tlsrpt.STS, f.Text, f.STS.Hosts
	}
	outside := !f.STS.Allows(f.Host)
	if f.STS.Mode == mtasts.Testing {
		n.Watched, n.Outside = true, outside
		return nil
	}
	n.raise(Verified, BySTS)
	if outside {
		return n.refused(BySTS, NotListed)
	}
	n.authority(f)
	return nil
}

// Key is the same for needs that ask for the same of a host: a connection that was good enough for one is for the other.
func (n Need) Key() string {
	if n.Level == Opportunistic && !n.Watched {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %s %t %t %t %q %t\n", n.Level, n.By, n.Name, n.Extension, n.WebPKI, n.Own, n.Names, n.Watched)
	for _, r := range n.Records {
		fmt.Fprintln(&b, r)
		if r.Usage == dane.TA {
			fmt.Fprintf(&b, "%q\n", n.Bases)
		}
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}
