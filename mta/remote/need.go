package remote

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dane"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// policy is what is asked of all hosts of an attempt.
type policy struct {
	rule   tlspolicy.Rule
	known  bool   // that the hosts are those of the domain is sure
	domain string // whose policy sts is: the destination, or a smart host (RFC 8461, section 3.4); empty: none was asked for
	sts    STS
}

// rule finds what the operator asks for: of the destination, and of a smart host where one takes the mail.
func (a *attempt) rule(ctx context.Context) error {
	p := a.client.c.Policies
	if hop := a.job.Hop; hop != nil {
		a.policy.rule = tlspolicy.Rule{Level: hop.Level, Route: true}
		if hop.Username != "" {
			a.policy.rule.Level = max(hop.Level, Encrypted) // a password goes over TLS alone
		}
	}
	if p == nil {
		return nil
	}
	r, err := p.Rule(ctx, a.job.Destination)
	if err != nil {
		return err
	}
	if a.job.Hop != nil {
		r.Names = nil // they are of the domain's own hosts
	}
	if r.Level > a.policy.rule.Level {
		a.policy.rule = r
	}
	return nil
}

// need finds what a host must show. Where it cannot do, that is noted and ok is false.
func (a *attempt) need(ctx context.Context, h target, addresses dns.Addresses) (n tlspolicy.Need, ok bool) {
	host := h.name
	f := tlspolicy.Facts{Domain: a.job.Destination, Host: host, Known: a.policy.known, Rule: a.policy.rule,
		Required: a.job.Envelope.RequireTLS, Waived: a.job.Envelope.TLSOptional && !a.job.Envelope.RequireTLS}
	if a.job.Hop != nil {
		f.Domain = host
	}
	if !f.Waived {
		var err error
		if f.TLSA, f.Base, err = a.tlsa(ctx, h, addresses); err != nil {
			n = tlspolicy.Need{Domain: f.Domain, Host: host, Level: Verified, By: tlspolicy.ByDANE, Kind: tlsrpt.TLSA, Extension: a.job.Envelope.RequireTLS}
			a.refused(n, &tlspolicy.Refusal{Need: n, Lack: tlspolicy.NotYetResolved, Cause: err})
			return n, false
		}
	}
	if !f.Waived && len(dane.Usable(f.TLSA)) == 0 {
		err := a.askSTS(ctx, f.Domain)
		if err == nil && f.Required && !f.Known {
			err = a.policy.sts.Unknown
		}
		if err != nil {
			a.unresolved(host, err)
			return n, false
		}
		f.STS, f.Text = a.policy.sts.Policy, a.policy.sts.Text
	}
	n, err := tlspolicy.Decide(f)
	if err != nil {
		a.refused(n, err)
		return n, false
	}
	return n, true
}

// refused notes that a host cannot do, without a word to it.
func (a *attempt) refused(n tlspolicy.Need, err error) {
	var r *tlspolicy.Refusal
	if errors.As(err, &r) && r.Lack != tlspolicy.NoVoucher {
		a.client.observe(a.job.Hop, event(n, r.Failure(), r.Error()))
	}
	a.failed(place{host: n.Host}, nil, err)
}

// askSTS finds the MTA-STS policy of a domain, once for all of its hosts. An address has none.
func (a *attempt) askSTS(ctx context.Context, domain string) (err error) {
	p := a.client.c.Policies
	_, address := netip.ParseAddr(domain)
	if p == nil || address == nil || a.policy.domain == domain {
		return nil
	}
	a.policy.sts = STS{}
	if a.policy.sts, err = p.STS(ctx, domain); err != nil {
		return err
	}
	a.policy.domain = domain
	if f := a.policy.sts.Failure; f != "" {
		n := tlspolicy.Need{Domain: domain, Kind: tlsrpt.STS, Text: a.policy.sts.Text}
		a.client.observe(a.job.Hop, event(n, f, a.policy.sts.Detail))
	}
	return nil
}

// tlsa finds the TLSA records of a host that DNSSEC vouches for, and their base domain (RFC 7672, section 2.2.3): there
// are such only where all that leads to them is vouched for.
func (a *attempt) tlsa(ctx context.Context, h target, addresses dns.Addresses) ([]dane.Record, string, error) {
	host := h.name
	if !a.policy.known {
		return nil, "", nil
	}
	r := a.client.c.Resolver
	var bases []string
	switch {
	case addresses.Secure && addresses.Name != "" && addresses.Name != host:
		bases = []string{addresses.Name, host}
	case addresses.Secure:
		bases = []string{host}
	case addresses.Name != "" && addresses.Name != host:
		// The alias may be vouched for and what it leads to not: the records at the alias count then.
		if secure, err := r.Alias(ctx, host); err != nil || !secure {
			return nil, "", err
		}
		bases = []string{host}
	}
	for _, base := range bases {
		list, secure, err := r.TLSAPort(ctx, base, h.port)
		if err != nil && !errors.Is(err, dns.ErrNoName) && !errors.Is(err, dns.ErrNoRecord) {
			return nil, "", err // there may be some (RFC 7672, section 2.1.1)
		}
		if secure && len(list) > 0 {
			return records(list), base, nil
		}
	}
	return nil, "", nil
}

func records(list []dns.TLSA) []dane.Record {
	out := make([]dane.Record, 0, len(list))
	for _, t := range list {
		data, err := hex.DecodeString(t.Data)
		if err != nil {
			data = nil // such a record is not usable, and counts as one
		}
		out = append(out, dane.Record{Usage: dane.Usage(t.Usage), Selector: dane.Selector(t.Selector), Matching: dane.Matching(t.Matching), Data: data})
	}
	return out
}

// event is what is told of a session, or of a policy that stopped one.
func event(n tlspolicy.Need, f tlsrpt.Failure, text string) tlsrpt.Event {
	return tlsrpt.Event{Domain: n.Domain, Type: n.Kind, Policy: n.Text, Hosts: n.Patterns, Host: n.Host, Failure: f, Text: text}
}

// observe tells of an event. What smart hosts do is between them and us, and a message that goes whatever the policies
// say, as a report about TLS does, is not reported (RFC 8460, section 5.3).
func (c *Client) observe(hop *Hop, e tlsrpt.Event) {
	if c.c.Observe != nil && hop == nil && e.Type != "" {
		c.c.Observe(e)
	}
}

// replyOf is what a policy that is not met says for the queue and for the sender.
func replyOf(r *tlspolicy.Refusal) mta.Reply { return *mta.Replyf(0, r.Status(), "%v", r) }
