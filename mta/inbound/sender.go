package inbound

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/cluster/directory/address"
)

// Sender is an entry of a list of senders.
type Sender struct {
	Pattern Pattern
	Allow   bool   // else it is blocked
	Junk    bool   // of a blocked one: its mail goes to Junk; else it is refused
	Of      string // whose list it is in, in words: "account alice@example.org"
}

// Pattern names senders: an address, a domain, all domains below one, or a network of clients.
type Pattern struct {
	address string
	domain  string
	below   bool
	network netip.Prefix
}

// ParsePattern reads a pattern: user@example.org, example.org, .example.org for all below it, 192.0.2.7 or 2001:db8::/32.
func ParsePattern(text string) (Pattern, error) {
	text = strings.TrimSpace(text)
	if !utf8.ValidString(text) {
		return Pattern{}, fmt.Errorf("sender %q: not UTF-8: %w", text, address.ErrSyntax)
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return Pattern{network: p.Masked()}, nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return Pattern{network: netip.PrefixFrom(a, a.BitLen())}, nil
	}
	if strings.Contains(text, "@") {
		a, err := address.Parse(text)
		if err != nil {
			return Pattern{}, fmt.Errorf("sender %q: %w", text, err)
		}
		return Pattern{address: a.String()}, nil
	}
	name, below := strings.CutPrefix(text, ".")
	d, err := address.ParseDomain(name)
	if err != nil {
		return Pattern{}, fmt.Errorf("sender %q: %w", text, err)
	}
	if _, err := netip.ParseAddr(d); err == nil {
		return Pattern{}, fmt.Errorf("sender %q: an address of a client ends without a dot: %w", text, address.ErrSyntax)
	}
	return Pattern{domain: d, below: below}, nil
}

// String gives the pattern as ParsePattern reads it.
func (p Pattern) String() string {
	switch {
	case p.network.IsValid() && p.network.IsSingleIP():
		return p.network.Addr().String()
	case p.network.IsValid():
		return p.network.String()
	case p.address != "":
		return p.address
	case p.below:
		return "." + p.domain
	}
	return p.domain
}

// Network reports whether the pattern names clients and not senders.
func (p Pattern) Network() bool { return p.network.IsValid() }

func (p Pattern) matchesClient(a netip.Addr) bool {
	return p.network.IsValid() && a.IsValid() && p.network.Contains(a.Unmap())
}

// matches reports whether an address, as a message gives it, is named.
func (p Pattern) matches(text string) bool {
	if text == "" || p.network.IsValid() {
		return false
	}
	canonical, err := address.Parse(text)
	if err != nil {
		return p.address == "" && p.matchesDomain(domainOf(text))
	}
	if p.address != "" {
		return canonical.String() == p.address
	}
	return p.matchesDomain(domainOf(canonical.String()))
}

func (p Pattern) matchesDomain(d string) bool {
	if p.below {
		return strings.HasSuffix(d, "."+p.domain)
	}
	return d == p.domain
}

// listing is what the lists of senders say of a message.
type listing struct {
	entry    Sender
	who      string // of the message, that it names
	found    bool
	unproven string // a sender who is allowed and whom the message only claims to be from
}

// listed finds the first entry that names a message, in the order of the lists: what somebody allows himself is not blocked by
// the cluster, nor the other way round. Whoever claims to be a blocked sender is one; an allowed one must be proven, else anybody
// could use the name.
func (p Policy) listed(f Facts) listing {
	var l listing
	for _, s := range p.Senders {
		who, ok := s.names(f)
		if !ok {
			continue
		}
		if !s.Allow {
			l.entry, l.who, l.found = s, who, true
			return l
		}
		if who, ok := s.proven(f); ok {
			l.entry, l.who, l.found = s, who, true
			return l
		}
		l.unproven = who
	}
	return l
}

// names reports whether the entry names the client, the envelope's sender or an author of the message, and which.
func (s Sender) names(f Facts) (string, bool) {
	if s.Pattern.matchesClient(f.Client.Address) {
		return f.Client.Address.String(), true
	}
	for _, a := range append([]string{f.Envelope.From}, f.Author.Addresses...) {
		if s.Pattern.matches(a) {
			return a, true
		}
	}
	return "", false
}

// proven is names for what is not only claimed: the client's network; the author, of whom DMARC or a signature aligned
// with his domain says that it is him; the envelope's sender, of whom SPF does.
func (s Sender) proven(f Facts) (string, bool) {
	if s.Pattern.matchesClient(f.Client.Address) {
		return f.Client.Address.String(), true
	}
	if f.Author.Fields == 1 && len(f.Author.Addresses) == 1 && f.Auth.speaksForAuthor() && s.Pattern.matches(f.Author.Addresses[0]) {
		return f.Author.Addresses[0], true
	}
	if f.Auth.SPF.Result == "pass" && strings.EqualFold(f.Auth.SPF.Domain, domainOf(f.Envelope.From)) && s.Pattern.matches(f.Envelope.From) {
		return f.Envelope.From, true
	}
	return "", false
}

// speaksForAuthor reports whether the domain of the From field is authenticated.
func (a Authentication) speaksForAuthor() bool {
	if a.DMARC.Result == "pass" {
		return true
	}
	if a.DMARC.Result == "fail" {
		return false
	}
	for _, r := range append([]Result{a.SPF}, a.DKIM...) {
		if r.Result == "pass" && r.Aligned {
			return true
		}
	}
	return false
}
