// Package dns asks recursive resolvers what mail needs to know of domains: where their mail goes (RFC 5321,
// section 5), addresses, texts, and names of addresses, each with whether a validating resolver vouches for
// it (RFC 4035, section 3.2.3). Answers are kept for as long as they say, within bounds. It decides nothing
// about mail.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// What a question comes to. Each answer of "no" is final; all else may be another the next time.
var (
	// ErrNoName says that the domain does not exist (NXDOMAIN).
	ErrNoName = errors.New("the domain does not exist")
	// ErrNoRecord says that the domain has no record of the kind.
	ErrNoRecord = errors.New("the domain has no such record")
	// ErrTemporary says that no resolver gave an answer, or that the domain's own servers do not.
	ErrTemporary = errors.New("DNS gives no answer for now")
)

// Config says how a Resolver works. Servers is required.
type Config struct {
	Servers []string // host:port of recursive resolvers, in the order in which they are asked
	// Validated says that the servers validate DNSSEC and that nobody can change what they say on the way: they are
	// on this host, or behind a net that is trusted (RFC 7672, section 2.1.3). Without it nothing is Secure.
	Validated bool
	Timeout   time.Duration    // of one question to one server; 3 s
	Rounds    int              // how often each server is asked; 2
	Entries   int              // answers that are kept; 10,000
	Clock     func() time.Time // nil: time.Now
	// Exchange asks a server. Nil: UDP, and TCP where an answer is truncated.
	Exchange func(ctx context.Context, q *dns.Msg, server string) (*dns.Msg, error)
}

// Resolver is for any number of goroutines.
type Resolver struct {
	c     Config
	cache *cache
}

// New makes a Resolver.
func New(c Config) *Resolver {
	if c.Timeout <= 0 {
		c.Timeout = 3 * time.Second
	}
	if c.Rounds <= 0 {
		c.Rounds = 2
	}
	if c.Entries <= 0 {
		c.Entries = 10_000
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Exchange == nil {
		c.Exchange = exchange
	}
	return &Resolver{c: c, cache: &cache{most: c.Entries}}
}

// MaxHosts is how many hosts of a domain are looked at, the preferred ones; others are left out.
const MaxHosts = 20

// Host is one that takes mail for a domain.
type Host struct {
	Preference uint16 // lower is tried first
	Name       string // in lower case, without the last dot
}

// Mail is where mail for a domain goes (RFC 5321, section 5.1).
type Mail struct {
	Hosts    []Host // by preference, those of one preference by name
	Secure   bool
	Implicit bool // there is no MX record: the domain is its own host
	Null     bool // the domain says that it takes no mail (RFC 7505); no hosts then
}

// MX finds where mail for a domain goes. Whether a domain without an MX record has an address is not asked.
func (r *Resolver) MX(ctx context.Context, domain string) (Mail, error) {
	a, err := r.ask(ctx, domain, dns.TypeMX)
	if errors.Is(err, ErrNoRecord) {
		return Mail{Hosts: []Host{{Name: canonical(domain)}}, Implicit: true, Secure: a.secure}, nil
	}
	if err != nil {
		return Mail{}, fmt.Errorf("look up where mail for %s goes: %w", domain, err)
	}
	m := Mail{Secure: a.secure}
	for _, rr := range a.records {
		if mx, ok := rr.(*dns.MX); ok {
			m.Hosts = append(m.Hosts, Host{mx.Preference, canonical(mx.Mx)})
		}
	}
	slices.SortFunc(m.Hosts, func(a, b Host) int {
		if a.Preference != b.Preference {
			return int(a.Preference) - int(b.Preference)
		}
		return strings.Compare(a.Name, b.Name)
	})
	if len(m.Hosts) == 1 && m.Hosts[0].Name == "" {
		return Mail{Null: true, Secure: a.secure}, nil
	}
	m.Hosts = slices.DeleteFunc(slices.Compact(m.Hosts), func(h Host) bool { return h.Name == "" })
	if len(m.Hosts) > MaxHosts {
		m.Hosts = m.Hosts[:MaxHosts]
	}
	return m, nil
}

// Addresses are those of a host.
type Addresses struct {
	V6, V4 []netip.Addr
	Secure bool   // all of them, with the CNAMEs that lead to them
	Name   string // what the host's CNAMEs lead to; the host itself where it has none
}

// MaxAddresses is how many addresses of a kind are looked at.
const MaxAddresses = 16

// Addresses finds the addresses of a host. One kind is enough; where one cannot be learnt now and the
// other is there, that is not an error.
func (r *Resolver) Addresses(ctx context.Context, host string) (Addresses, error) {
	v6, err6 := r.ask(ctx, host, dns.TypeAAAA)
	v4, err4 := r.ask(ctx, host, dns.TypeA)
	out := Addresses{Name: canonical(host)}
	for _, a := range []answer{v6, v4} {
		if len(a.records) > 0 {
			out.Name = canonical(a.name)
		}
	}
	// One kind that cannot be learnt leaves the other as sure as it is: else who can suppress it could do away with DANE.
	out.Secure = len(v6.records)+len(v4.records) > 0 && (v6.secure || len(v6.records) == 0) && (v4.secure || len(v4.records) == 0)
	for _, rr := range v6.records {
		if a, ok := rr.(*dns.AAAA); ok && len(out.V6) < MaxAddresses {
			if addr, ok := netip.AddrFromSlice(a.AAAA.To16()); ok && !addr.Is4In6() {
				out.V6 = append(out.V6, addr)
			}
		}
	}
	for _, rr := range v4.records {
		if a, ok := rr.(*dns.A); ok && len(out.V4) < MaxAddresses {
			if addr, ok := netip.AddrFromSlice(a.A.To4()); ok {
				out.V4 = append(out.V4, addr)
			}
		}
	}
	if len(out.V6)+len(out.V4) > 0 {
		return out, nil
	}
	for _, err := range []error{err6, err4} {
		if err != nil && !final(err) {
			return out, fmt.Errorf("look up addresses of %s: %w", host, err)
		}
	}
	if err4 == nil {
		err4 = ErrNoRecord
	}
	return out, fmt.Errorf("look up addresses of %s: %w", host, err4)
}

// Texts are the TXT records of a name, the strings of each put together (RFC 7208, section 3.3), as the octets that they are.
func (r *Resolver) Texts(ctx context.Context, name string) (texts []string, secure bool, err error) {
	a, err := r.ask(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, a.secure, fmt.Errorf("look up texts of %s: %w", name, err)
	}
	return textsOf(a.records), a.secure, nil
}

func textsOf(records []dns.RR) (texts []string) {
	for _, rr := range records {
		if t, ok := rr.(*dns.TXT); ok {
			text, _ := octets(strings.Join(t.Txt, ""))
			texts = append(texts, text)
		}
	}
	return texts
}

// TLSA is a record that says which certificates a host has (RFC 6698, section 2.1).
type TLSA struct {
	Usage, Selector, Matching uint8
	Data                      string // in hexadecimal digits, lower case
}

// TLSA finds the TLSA records of a host for mail, on port 25. secure is false also where there is none, but not
// vouched for (RFC 7672, section 2.1).
func (r *Resolver) TLSA(ctx context.Context, host string) (list []TLSA, secure bool, err error) {
	return r.TLSAPort(ctx, host, 25)
}

// TLSAPort finds those of another port, as TLSA.
func (r *Resolver) TLSAPort(ctx context.Context, host string, port uint16) (list []TLSA, secure bool, err error) {
	a, err := r.ask(ctx, fmt.Sprintf("_%d._tcp.%s", port, host), dns.TypeTLSA)
	if err != nil {
		return nil, a.secure, fmt.Errorf("look up TLSA of %s: %w", host, err)
	}
	for _, rr := range a.records {
		if t, ok := rr.(*dns.TLSA); ok {
			list = append(list, TLSA{t.Usage, t.Selector, t.MatchingType, strings.ToLower(t.Certificate)})
		}
	}
	return list, a.secure, nil
}

// Alias reports whether a name is vouched for to have a CNAME record, wherever that leads.
func (r *Resolver) Alias(ctx context.Context, name string) (bool, error) {
	a, err := r.ask(ctx, name, dns.TypeCNAME)
	if err != nil && !final(err) {
		return false, fmt.Errorf("look up CNAME of %s: %w", name, err)
	}
	return a.secure && len(a.records) > 0, nil
}

// final reports whether an error is an answer that stays.
func final(err error) bool { return errors.Is(err, ErrNoName) || errors.Is(err, ErrNoRecord) }

// canonical is a name in lower case, without the last dot.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
