package remote

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
)

// The enhanced codes of what goes wrong before a host speaks (RFC 3463, RFC 7505).
const (
	badDomain    mta.Enhanced = "5.1.2"
	nullMX       mta.Enhanced = "5.1.10"
	noHost       mta.Enhanced = "4.4.1"
	lost         mta.Enhanced = "4.4.2"
	noRoute      mta.Enhanced = "4.4.3"
	loops        mta.Enhanced = "5.4.6"
	noConversion mta.Enhanced = "5.6.3"
	badReply     mta.Enhanced = "4.5.0"
)

// Deliver makes an attempt. There is a result for each recipient, in order. It ends with ctx, whose end is temporary.
func (c *Client) Deliver(ctx context.Context, job Job) []Result {
	results := c.deliver(ctx, job)
	if !job.Envelope.RequireTLS || job.Envelope.From != "" {
		return results
	}
	// A report that nobody can have with REQUIRETLS goes without rather than not at all (RFC 8689, section 5).
	without := job
	without.Envelope.RequireTLS, without.Recipients = false, nil
	var places []int
	for i, r := range results {
		if r.stopped && r.Kind == Permanent {
			without.Recipients = append(without.Recipients, job.Recipients[i])
			places = append(places, i)
		}
	}
	if len(places) > 0 {
		for i, r := range c.deliver(ctx, without) {
			results[places[i]] = r
		}
	}
	return results
}

func (c *Client) deliver(ctx context.Context, job Job) []Result {
	a := &attempt{client: c, job: job, results: make([]Result, len(job.Recipients))}
	for i := range job.Recipients {
		a.open = append(a.open, i)
	}
	hosts, known, failed := c.targets(ctx, job)
	if failed != nil {
		a.rest(*failed)
		return a.results
	}
	a.policy.known = known
	if err := a.rule(ctx); err != nil {
		a.rest(Result{Kind: Temporary, Reply: *mta.Replyf(0, noRoute, "%v", err)})
		return a.results
	}
	a.last = Result{Kind: Temporary, Reply: *mta.Replyf(0, noHost, "No host of %s could be reached", job.Destination)}
	tried := 0
	for _, h := range hosts {
		found, err := Lookup(ctx, c.c.Resolver, h.name)
		if err != nil {
			a.unresolved(h.name, err)
			continue
		}
		need, ok := a.need(ctx, h, found)
		if !ok {
			continue
		}
		addresses := job.Source.reaches(found)
		if len(addresses) == 0 {
			a.unresolved(h.name, fmt.Errorf("%s has no address that can be reached from %s", h.name, job.Source.Address))
		}
		for _, address := range addresses {
			if tried == c.c.Limits.Hosts || len(a.open) == 0 || ctx.Err() != nil || a.last.NoSource {
				break
			}
			tried++
			a.try(ctx, a.place(h, address, need), need)
		}
	}
	if ctx.Err() != nil {
		a.hope = true
		a.last.Reply.Text = "The attempt was broken off: " + a.last.Reply.Text
	}
	a.rest(a.final())
	return a.results
}

// final is what becomes of those whom no host said anything of. What a policy stopped tells more than that another
// host was not there; it is permanent only where no host can ever do.
func (a *attempt) final() Result {
	if a.stopped == nil || a.stopped.Kind == Permanent && a.hope {
		return a.last
	}
	a.stopped.Reached = a.stopped.Reached || a.last.Reached
	return *a.stopped
}

// hosts finds where mail for a domain goes. A Result is what becomes of all recipients.
func (c *Client) hosts(ctx context.Context, domain string) (dns.Mail, *Result) {
	mail, err := c.c.Resolver.MX(ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNoName):
		return mail, &Result{Kind: Permanent, Reply: *mta.Replyf(0, badDomain, "The domain %s does not exist", domain)}
	case err != nil:
		return mail, &Result{Kind: Temporary, Reply: *mta.Replyf(0, noRoute, "%v", err)}
	case mail.Null:
		return mail, &Result{Kind: Permanent, Reply: *mta.Replyf(0, nullMX, "The domain %s takes no mail", domain)}
	}
	// Hosts that are no better than ourselves would send it back (RFC 5321, section 5.1).
	for i, h := range mail.Hosts {
		if !c.c.Own(h.Name) {
			continue
		}
		better := 0
		for better < i && mail.Hosts[better].Preference < h.Preference {
			better++
		}
		if better == 0 {
			return mail, &Result{Kind: Permanent, Reply: *mta.Replyf(0, loops, "Mail for %s comes back to us: %s is one of our hosts", domain, h.Name)}
		}
		mail.Hosts = mail.Hosts[:better]
		return mail, nil
	}
	if mail.Implicit {
		if _, err := c.c.Resolver.Addresses(ctx, domain); errors.Is(err, dns.ErrNoName) || errors.Is(err, dns.ErrNoRecord) {
			return mail, &Result{Kind: Permanent, Reply: *mta.Replyf(0, badDomain, "The domain %s has no host for mail", domain)}
		}
	}
	return mail, nil
}

// order gives the addresses of a host, of both kinds by turns: one kind may not work at all.
func order(a dns.Addresses) []netip.Addr {
	var out []netip.Addr
	for i := range max(len(a.V6), len(a.V4)) {
		if i < len(a.V6) {
			out = append(out, a.V6[i])
		}
		if i < len(a.V4) {
			out = append(out, a.V4[i])
		}
	}
	return out
}

// attempt is one Deliver.
type attempt struct {
	client  *Client
	job     Job
	results []Result
	open    []int   // recipients without a result
	last    Result  // why the last host was none; of those that stay open
	stopped *Result // the same of the last that a policy of TLS ruled out
	hope    bool    // another host may do another time
	policy  policy
}

// rest gives all that are open a result.
func (a *attempt) rest(r Result) {
	for _, i := range a.open {
		a.results[i] = r
	}
	a.open = nil
}

func (a *attempt) unresolved(host string, err error) {
	a.hope = true
	a.last = Result{Kind: Temporary, Host: host, Reply: *mta.Replyf(0, noRoute, "%v", err), Reached: a.last.Reached, NoSource: a.last.NoSource}
}

// try has one host take the recipients that are open. What it says of them is final for this attempt; where it says
// nothing of them, the next host is asked.
func (a *attempt) try(ctx context.Context, p place, need tlspolicy.Need) {
	s := a.client.take(p)
	if s != nil && a.over(ctx, s, true) {
		return
	}
	for _, secure := range []bool{true, false} {
		s, again, err := a.client.connect(ctx, p, a.job.Hop, need, secure)
		if err == nil {
			a.over(ctx, s, false)
			return
		}
		a.failed(p, s, err)
		if !again || need.Level > Opportunistic {
			return
		}
	}
}

// over sends the message over a connection. It reports false where the connection was an old one that had ended:
// nothing is known then that was not known before.
func (a *attempt) over(ctx context.Context, s *session, old bool) bool {
	stop := context.AfterFunc(ctx, s.interrupt)
	err := a.transaction(s)
	interrupted := !stop()
	switch {
	case err == nil && !interrupted:
		a.client.keep(s)
	case err == nil:
		s.close()
	case old && !s.spoke:
		s.close()
		return false
	default:
		a.failed(s.place, s, err)
		s.close()
	}
	return true
}

// failed notes why a host was none.
func (a *attempt) failed(p place, s *session, err error) {
	r := Result{Kind: Temporary, Host: p.host, NoSource: errors.Is(err, ErrSource)}
	if p.address.IsValid() {
		r.Address = p.address.Addr().String()
	}
	if s != nil {
		r.TLS, r.Reached = s.tls, s.spoke
	}
	r.Reached = r.Reached || a.last.Reached
	var refusal *tlspolicy.Refusal
	if errors.As(err, &refusal) {
		r.Reply = replyOf(refusal)
		r.Kind = kindOf(r.Reply)
		r.stopped = true
		a.stopped = &r
		return
	}
	var reply *mta.Reply
	if errors.As(err, &reply) {
		r.Reply = *reply
	} else {
		r.Reply = *mta.Replyf(0, lost, "%v", err)
	}
	a.last, a.hope = r, true
}
