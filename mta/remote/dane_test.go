package remote_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/rookery-mail/rookery/mta/certtest"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
)

// web is a DNS and the hosts of its addresses.
type web struct {
	t     *testing.T
	zone  dnstest.Zone
	hosts map[string]*host // by address
	plain map[uint16]bool  // kinds of answers that nobody vouches for
	dials []string
	tasks sync.WaitGroup
}

func (n *web) client(roots *certtest.Authority, p remote.Policies) *remote.Client {
	c := remote.New(remote.Config{
		Resolver: dns.New(dns.Config{Servers: []string{"test"}, Validated: true, Exchange: func(ctx context.Context, q *mdns.Msg, server string) (*mdns.Msg, error) {
			m, err := n.zone.Exchange(ctx, q, server)
			if err == nil && n.plain[q.Question[0].Qtype] {
				m.AuthenticatedData = false
			}
			return m, err
		}}),
		Hostname: "out.example.org", Policies: p, Roots: roots.Pool(), Limits: remote.Limits{Idle: time.Hour},
		Dial: func(_ context.Context, _ remote.Source, a netip.AddrPort) (net.Conn, error) {
			n.dials = append(n.dials, a.Addr().String())
			h := n.hosts[a.Addr().String()]
			if h == nil {
				return nil, errors.New("connection refused")
			}
			ours, theirs := net.Pipe()
			n.tasks.Go(func() { h.serve(theirs) })
			return wire{ours, h}, nil
		},
	})
	n.t.Cleanup(func() { c.Close(); n.tasks.Wait() })
	return c
}

func secretJob(domain string) remote.Job {
	j := job(domain, "bob")
	j.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(secret + "\r\n\r\nx\r\n")), nil }
	return j
}

// TestBaseDomain: where the TLSA records of a host are looked for, and when they count (RFC 7672, section 2.2).
func TestBaseDomain(t *testing.T) {
	ca := certtest.New(t)
	cert := ca.Host("real.host.example")
	good := "3 1 1 " + certtest.SPKI(cert.Leaf)
	bad := "3 1 1 " + strings.Repeat("00", 32)
	const records = `
one.example. 60 IN MX 10 mx.one.example.
mx.one.example. 60 IN CNAME real.host.example.
real.host.example. 60 IN A 192.0.2.1
implicit.example. 60 IN A 192.0.2.1
`
	const alias, target = "_25._tcp.mx.one.example. 60 IN TLSA ", "_25._tcp.real.host.example. 60 IN TLSA "
	all := []string{"one.example", "mx.one.example", "real.host.example", "implicit.example", "_25._tcp.mx.one.example", "_25._tcp.real.host.example", "_25._tcp.implicit.example"}
	for name, c := range map[string]struct {
		domain, tlsa string
		plain        []uint16
		fail         string
		want         string // a part of Result.TLS, or of the reply
	}{
		"none":                              {"one.example", "", nil, "", "not authenticated"},
		"at what the alias leads to":        {"one.example", target + good, nil, "", "DANE-EE"},
		"at the alias":                      {"one.example", alias + good, nil, "", "DANE-EE"},
		"that of the target first":          {"one.example", target + good + "\n" + alias + bad, nil, "", "DANE-EE"},
		"that of the target alone":          {"one.example", target + bad + "\n" + alias + good, nil, "", "DANE asks"},
		"the authority, name of the target": {"one.example", target + "2 1 1 " + certtest.SPKI(ca.Cert), nil, "", "DANE-TA"},
		"the authority, name of the alias":  {"one.example", alias + "2 1 1 " + certtest.SPKI(ca.Cert), nil, "", "DANE asks"},
		"no answer for the target":          {"one.example", alias + good, nil, "_25._tcp.real.host.example", "DANE asks"},
		"no answer for the alias":           {"one.example", "", nil, "_25._tcp.mx.one.example", "DANE asks"},
		"no answer, and not needed":         {"one.example", target + good, nil, "_25._tcp.mx.one.example", "DANE-EE"},
		"the target is not signed":          {"one.example", target + bad + "\n" + alias + good, []uint16{mdns.TypeA, mdns.TypeAAAA}, "", "DANE-EE"},
		"nor is the alias":                  {"one.example", target + bad + "\n" + alias + bad, []uint16{mdns.TypeA, mdns.TypeAAAA, mdns.TypeCNAME}, "", "not authenticated"},
		"MX is not signed":                  {"one.example", target + bad + "\n" + alias + bad, []uint16{mdns.TypeMX}, "", "not authenticated"},
		"TLSA is not signed":                {"one.example", target + bad + "\n" + alias + bad, []uint16{mdns.TypeTLSA}, "", "not authenticated"},
		"a domain without MX":               {"implicit.example", "_25._tcp.implicit.example. 60 IN TLSA " + good, nil, "", "DANE-EE"},
		"a domain without MX, another key":  {"implicit.example", "_25._tcp.implicit.example. 60 IN TLSA " + bad, nil, "", "DANE asks"},
	} {
		t.Run(name, func(t *testing.T) {
			n := &web{t: t, hosts: map[string]*host{"192.0.2.1": {offers: true, cert: cert}}, plain: map[uint16]bool{}}
			n.zone.Add(records + c.tlsa)
			n.zone.Secure(all...)
			for _, k := range c.plain {
				n.plain[k] = true
			}
			if c.fail != "" {
				n.zone.Fail(c.fail, errors.New("SERVFAIL"))
			}
			r := n.client(ca, nil).Deliver(context.Background(), secretJob(c.domain))[0]
			if got := r.TLS + ", " + r.Reply.Text; !strings.Contains(got, c.want) || strings.Contains(c.want, "asks") == (r.Kind == remote.Delivered) {
				t.Errorf("%s (%+v), not %s", got, r, c.want)
			}
		})
	}
}

// TestHosts: a host that cannot do is passed over, and what becomes of the message when none can.
func TestHosts(t *testing.T) {
	ca := certtest.New(t)
	a, b := ca.Host("a.two.example"), ca.Host("b.two.example")
	verify := fixed{rule: tlspolicy.Rule{Level: tlspolicy.Verified}}
	secure := func(c tls.Certificate, requires bool) *host { return &host{offers: true, cert: c, requires: requires} }
	for name, c := range map[string]struct {
		policies remote.Policies
		required bool
		hosts    map[string]*host
		want     string
		report   bool // it has no sender
	}{
		"the second can":    {verify, false, map[string]*host{"192.0.2.2": {}, "192.0.2.3": secure(b, false)}, `delivered by "b.two.example": 250 ok`, false},
		"another's":         {verify, false, map[string]*host{"192.0.2.2": secure(b, false), "192.0.2.3": secure(b, false)}, `delivered by "b.two.example": 250 ok`, false},
		"one away, one not": {verify, false, map[string]*host{"192.0.2.2": {}}, `temporary by "a.two.example": 4.7.4 A rule of ours asks for authenticated TLS with a.two.example: it offers none`, false},
		"neither can": {verify, false, map[string]*host{"192.0.2.2": {}, "192.0.2.3": {}},
			`temporary by "b.two.example": 4.7.4 A rule of ours asks for authenticated TLS with b.two.example: it offers none`, false},
		"required, the second can": {nil, true, map[string]*host{"192.0.2.2": secure(a, false), "192.0.2.3": secure(b, true)}, `delivered by "b.two.example": 250 ok`, false},
		"required, neither can": {nil, true, map[string]*host{"192.0.2.2": secure(a, false), "192.0.2.3": {}},
			`permanent by "b.two.example": 5.7.10 REQUIRETLS asks for authenticated TLS with b.two.example: it offers none`, false},
		"required, one is away":    {nil, true, map[string]*host{"192.0.2.2": secure(a, false)}, `temporary by "b.two.example": 4.4.2 connect to b.two.example: connection refused`, false},
		"a report, the second can": {nil, true, map[string]*host{"192.0.2.2": secure(a, false), "192.0.2.3": secure(b, true)}, `delivered by "b.two.example": 250 ok`, true},
		"a report, neither can":    {nil, true, map[string]*host{"192.0.2.2": secure(a, false), "192.0.2.3": {}}, `delivered by "a.two.example": 250 ok`, true},
		"a report, and a rule": {verify, true, map[string]*host{"192.0.2.2": {offers: true, cert: b}, "192.0.2.3": {}},
			`temporary by "b.two.example": 4.7.4 A rule of ours asks for authenticated TLS with b.two.example: it offers none`, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := &web{t: t, hosts: c.hosts}
			n.zone.Add(zone)
			n.zone.Secure("two.example", "a.two.example", "b.two.example")
			j := secretJob("two.example")
			j.Envelope.RequireTLS = c.required
			if c.report {
				j.Envelope.From = ""
			}
			results := n.client(ca, c.policies).Deliver(context.Background(), j)
			if got := show(results); got != c.want {
				t.Errorf("%s\nand not %s", got, c.want)
			}
			for address, h := range c.hosts {
				if went := h.went(); went == "c" || strings.Contains(went, "envelope") {
					t.Errorf("%s got %s", address, went)
				}
			}
		})
	}
}

// TestReuseByNeed: a connection that was good enough for one message is not taken for another that asks for more.
func TestReuseByNeed(t *testing.T) {
	ca := certtest.New(t)
	n := &web{t: t, hosts: map[string]*host{"192.0.2.1": {offers: true, cert: ca.Host("mx.one.example"), requires: true}}}
	n.zone.Add(zone)
	n.zone.Secure("one.example", "mx.one.example")
	c := n.client(ca, nil)
	for i, step := range []struct {
		required bool
		dials    int
	}{{false, 1}, {false, 1}, {true, 2}, {true, 2}, {false, 2}} {
		j := secretJob("one.example")
		j.Envelope.RequireTLS = step.required
		r := c.Deliver(context.Background(), j)[0]
		if r.Kind != remote.Delivered || len(n.dials) != step.dials || strings.Contains(r.TLS, "verified") != step.required {
			t.Errorf("message %d: %d connections, %+v", i, len(n.dials), r)
		}
	}
}
