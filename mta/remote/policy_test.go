package remote_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/certtest"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/mtasts"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// secret is an octet string of the messages of these tests.
const secret = "Subject: the octets of the message"

// host is an SMTP server with a way of doing TLS.
type host struct {
	offers   bool
	starttls string          // the reply; empty: 220 and a handshake
	cert     tls.Certificate // none: the handshake fails
	closes   bool            // in place of a handshake
	requires bool            // it offers REQUIRETLS

	mu  sync.Mutex
	raw bytes.Buffer // what the client wrote, as on the wire
	got []string     // MAIL commands, and the messages
}

func (h *host) say(conn net.Conn, text string) bool {
	_, err := io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")+"\r\n")
	return err == nil
}

func (h *host) note(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, text)
}

func (h *host) serve(raw net.Conn) {
	defer raw.Close()
	conn, r, secure := raw, bufio.NewReader(raw), false
	if !h.say(conn, "220 mx.greets.example ready") {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		reply := "250 ok"
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "EHLO":
			reply = "250-mx\n"
			if h.offers && !secure {
				reply += "250-STARTTLS\n"
			}
			if h.requires && secure {
				reply += "250-REQUIRETLS\n"
			}
			reply += "250 8BITMIME"
		case "STARTTLS":
			if h.starttls != "" {
				reply = h.starttls
				break
			}
			if !h.say(conn, "220 go") || h.closes {
				return
			}
			if h.cert.Certificate == nil {
				_, _ = raw.Read(make([]byte, 16<<10)) // a pipe has no room for two who write
				_ = h.say(conn, "this is no handshake")
				_, _ = io.Copy(io.Discard, raw)
				return
			}
			conn = tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{h.cert}, SessionTicketsDisabled: true})
			r, secure = bufio.NewReader(conn), true
			continue
		case "MAIL":
			h.note(strings.TrimSpace(line))
		case "DATA":
			if !h.say(conn, "354 go") {
				return
			}
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
				h.note(strings.TrimSpace(line))
			}
		case "QUIT":
			return
		}
		if !h.say(conn, reply) {
			return
		}
	}
}

// wire is the client's side of a connection, of which what is written is noted.
type wire struct {
	net.Conn
	h *host
}

func (w wire) Write(p []byte) (int, error) {
	w.h.mu.Lock()
	w.h.raw.Write(p)
	w.h.mu.Unlock()
	return w.Conn.Write(p)
}

// fixed are policies of a test.
type fixed struct {
	rule tlspolicy.Rule
	sts  remote.STS
	err  error
}

func (f fixed) Rule(context.Context, string) (tlspolicy.Rule, error) { return f.rule, nil }
func (f fixed) STS(context.Context, string) (remote.STS, error)      { return f.sts, f.err }

// attempt is one delivery to one.example, whose host is mx.one.example.
type attempt struct {
	policies remote.Policies
	tlsa     string // records; "fail": there is no answer
	unsigned bool   // DNSSEC vouches for nothing
	change   func(*remote.Job)
	h        *host
	events   []tlsrpt.Event
}

func (a *attempt) deliver(t *testing.T, ca *certtest.Authority) remote.Result {
	t.Helper()
	z := new(dnstest.Zone)
	z.Add(zone)
	const name = "_25._tcp.mx.one.example"
	switch {
	case a.tlsa == "fail":
		z.Fail(name, errors.New("SERVFAIL"))
	case a.tlsa != "":
		for _, r := range strings.Split(a.tlsa, ", ") {
			z.Add(name + ". 60 IN TLSA " + r)
		}
	}
	if !a.unsigned {
		z.Secure("one.example", "mx.one.example", name)
	}
	var tasks sync.WaitGroup
	c := remote.New(remote.Config{
		Resolver: dns.New(dns.Config{Servers: []string{"test"}, Exchange: z.Exchange, Validated: true}), Hostname: "out.example.org", Policies: a.policies, Roots: ca.Pool(),
		Dial: func(context.Context, remote.Source, netip.AddrPort) (net.Conn, error) {
			ours, theirs := net.Pipe()
			tasks.Go(func() { a.h.serve(theirs) })
			return wire{ours, a.h}, nil
		},
		Observe: func(e tlsrpt.Event) { a.events = append(a.events, e) },
		Limits:  remote.Limits{Connect: 20 * time.Second, Greeting: 20 * time.Second, Command: 20 * time.Second, Data: 20 * time.Second, Dot: 20 * time.Second},
	})
	defer tasks.Wait()
	defer c.Close()
	j := job("one.example", "bob")
	j.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(secret + "\r\n\r\nx\r\n")), nil }
	if a.change != nil {
		a.change(&j)
	}
	return c.Deliver(context.Background(), j)[0]
}

// went says how the message went: s over TLS, c in clear, - not at all.
func (h *host) went() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := strings.Join(h.got, "\n")
	clear := h.raw.String()
	switch {
	case strings.Contains(clear, secret):
		return "c"
	case strings.Contains(clear, "MAIL FROM"):
		return "an envelope in clear"
	case strings.Contains(got, secret):
		return "s"
	case got != "":
		return "an envelope"
	}
	return "-"
}

// TestNothingInClear holds each policy against each way that hosts have of doing TLS, and looks at the wire: c is only where
// nothing asks for TLS.
func TestNothingInClear(t *testing.T) {
	ca, other := certtest.New(t), certtest.New(t)
	good, expired := ca.Host("mx.one.example"), ca.Expired("mx.one.example")
	hosts := []struct {
		name string
		make func() *host
	}{
		{"offers no TLS", func() *host { return &host{} }},
		{"puts TLS off", func() *host { return &host{offers: true, starttls: "454 4.7.0 not now"} }},
		{"refuses TLS", func() *host { return &host{offers: true, starttls: "500 what?"} }},
		{"no handshake", func() *host { return &host{offers: true} }},
		{"closes in it", func() *host { return &host{offers: true, closes: true} }},
		{"self-signed", func() *host {
			return &host{offers: true, cert: certtest.SelfSigned(t, "mx.one.example"), requires: true}
		}},
		{"another authority", func() *host { return &host{offers: true, cert: other.Host("mx.one.example"), requires: true} }},
		{"another name", func() *host { return &host{offers: true, cert: ca.Host("mx.two.example"), requires: true} }},
		{"expired", func() *host { return &host{offers: true, cert: expired, requires: true} }},
		{"good", func() *host { return &host{offers: true, cert: good, requires: true} }},
		{"no REQUIRETLS", func() *host { return &host{offers: true, cert: good} }},
	}
	pin := func(c tls.Certificate) string { return "3 1 1 " + certtest.SPKI(c.Leaf) }
	authority := "2 1 1 " + certtest.SPKI(ca.Cert)
	sts := func(m mtasts.Mode, hosts ...string) fixed {
		return fixed{sts: remote.STS{Policy: &mtasts.Policy{Mode: m, Hosts: hosts}, Text: []string{"version: STSv1"}}}
	}
	encrypt, verify := fixed{rule: tlspolicy.Rule{Level: tlspolicy.Encrypted}}, fixed{rule: tlspolicy.Rule{Level: tlspolicy.Verified}}
	ruled := sts(mtasts.Enforce, "mx.one.example")
	ruled.rule = encrypt.rule
	require := func(j *remote.Job) { j.Envelope.RequireTLS = true }
	waive := func(j *remote.Job) { j.Envelope.TLSOptional = true }
	unusable := "1 1 1 " + certtest.SPKI(good.Leaf)
	for _, c := range []struct {
		name string
		a    attempt
		want string // a letter for each host
	}{
		{"nothing", attempt{}, "cccccssssss"},
		{"not signed", attempt{tlsa: pin(good), unsigned: true}, "cccccssssss"},
		{"mode none", attempt{policies: sts(mtasts.None)}, "cccccssssss"},
		{"mode testing", attempt{policies: sts(mtasts.Testing, "mx.one.example")}, "cccccssssss"},
		{"mode testing, another host", attempt{policies: sts(mtasts.Testing, "x.example")}, "cccccssssss"},
		{"mode enforce", attempt{policies: sts(mtasts.Enforce, "*.one.example")}, "---------ss"},
		{"mode enforce, another host", attempt{policies: sts(mtasts.Enforce, "x.example")}, "-----------"},
		{"encrypt", attempt{policies: encrypt}, "-----ssssss"},
		{"verify", attempt{policies: verify}, "---------ss"},
		{"names", attempt{policies: fixed{rule: tlspolicy.Rule{Level: tlspolicy.Verified, Names: []string{".two.example"}}}}, "-------s---"},
		{"DANE-EE", attempt{tlsa: pin(good)}, "---------ss"},
		{"DANE-EE of an expired one", attempt{tlsa: pin(expired)}, "--------s--"},
		{"DANE-TA", attempt{tlsa: authority}, "---------ss"},
		{"DANE of no use", attempt{tlsa: unusable}, "-----ssssss"},
		{"DANE, mixed", attempt{tlsa: unusable + ", " + pin(good)}, "---------ss"},
		{"DANE that matches nothing", attempt{tlsa: "3 1 1 " + strings.Repeat("00", 32)}, "-----------"},
		{"DANE without an answer", attempt{tlsa: "fail"}, "-----------"},
		{"DANE and enforce of another host", attempt{tlsa: pin(expired), policies: sts(mtasts.Enforce, "x.example")}, "--------s--"},
		{"encrypt and enforce", attempt{policies: ruled}, "---------ss"},
		{"REQUIRETLS", attempt{change: require}, "---------s-"},
		{"REQUIRETLS and DANE", attempt{change: require, tlsa: pin(expired)}, "--------s--"},
		{"REQUIRETLS, not signed", attempt{change: require, unsigned: true}, "-----------"},
		{"REQUIRETLS, not signed, enforce", attempt{change: require, unsigned: true, policies: sts(mtasts.Enforce, "mx.one.example")}, "---------s-"},
		{"waived", attempt{change: waive, tlsa: pin(good), policies: sts(mtasts.Enforce, "x.example")}, "cccccssssss"},
		{"waived, no answer", attempt{change: waive, tlsa: "fail"}, "cccccssssss"},
		{"waived, and a rule", attempt{change: waive, tlsa: pin(good), policies: encrypt}, "-----ssssss"},
		{"a login", attempt{change: func(j *remote.Job) {
			j.Hop = &remote.Hop{Hosts: []string{"mx.one.example"}, Level: tlspolicy.Encrypted}
		}}, "-----ssssss"},
	} {
		for i, h := range hosts {
			a := c.a
			a.h = h.make()
			r := a.deliver(t, ca)
			went, want := a.h.went(), c.want[i:i+1]
			if went != want {
				t.Errorf("%s, a host that %s: %s and not %s; %+v", c.name, h.name, went, want, r)
			}
			if (r.Kind == remote.Delivered) != (want != "-") || (r.TLS == "") != (want == "c" || r.TLS == "") {
				t.Errorf("%s, a host that %s: %+v", c.name, h.name, r)
			}
			if want == "-" && !strings.Contains(r.Reply.Text, " asks for ") {
				t.Errorf("%s, a host that %s: the sender does not learn what stopped it: %q", c.name, h.name, r.Reply.Text)
			}
			if final := r.Kind == remote.Permanent; final && !strings.Contains(c.name, "REQUIRETLS") {
				t.Errorf("%s, a host that %s: given up at once: %+v", c.name, h.name, r)
			}
		}
	}
}

// TestTold: what a result says of TLS, what the sender reads, and what reports are made of.
func TestTold(t *testing.T) {
	ca := certtest.New(t)
	good := ca.Host("mx.one.example")
	enforce := fixed{sts: remote.STS{Policy: &mtasts.Policy{Mode: mtasts.Enforce, Hosts: []string{"mx.one.example"}}, Text: []string{"version: STSv1", "mode: enforce"}}}
	gone := fixed{sts: remote.STS{Failure: tlsrpt.STSPolicyFetchError, Detail: "404"}}
	secure := func() *host { return &host{offers: true, cert: good, requires: true} }
	for name, c := range map[string]struct {
		a             attempt
		tls, text     string // a part of each
		kind          remote.Kind
		events, mails string
	}{
		"nothing":  {attempt{h: secure()}, "not authenticated", "250 ok", remote.Delivered, "no-policy-found ok", "MAIL FROM:<ada@example.org>"},
		"DANE":     {attempt{h: secure(), tlsa: "3 1 1 " + certtest.SPKI(good.Leaf)}, "verified by DANE-EE", "250 ok", remote.Delivered, "tlsa ok", "MAIL FROM:<ada@example.org>"},
		"enforce":  {attempt{h: secure(), policies: enforce}, "verified by an authority for MTA-STS", "250 ok", remote.Delivered, "sts ok", "MAIL FROM:<ada@example.org>"},
		"stripped": {attempt{h: &host{}, policies: enforce}, "", "4.7.4 MTA-STS asks for authenticated TLS with mx.one.example: it offers none", remote.Temporary, "sts starttls-not-supported", ""},
		"no policy to be had": {attempt{h: secure(), policies: gone}, "not authenticated", "250 ok", remote.Delivered, "sts sts-policy-fetch-error, no-policy-found ok",
			"MAIL FROM:<ada@example.org>"},
		"no TLS, none needed": {attempt{h: &host{offers: true, starttls: "454 no"}}, "", "250 ok", remote.Delivered, "no-policy-found starttls-not-supported", "MAIL FROM:<ada@example.org>"},
		"required": {attempt{h: secure(), change: func(j *remote.Job) { j.Envelope.RequireTLS = true }}, "verified by an authority for REQUIRETLS", "250 ok", remote.Delivered,
			"no-policy-found ok", "MAIL FROM:<ada@example.org> REQUIRETLS"},
		"required, not there": {attempt{h: &host{offers: true, cert: good}, change: func(j *remote.Job) { j.Envelope.RequireTLS = true }}, "verified",
			"5.7.30 REQUIRETLS asks for authenticated TLS with mx.one.example: it does not support REQUIRETLS", remote.Permanent, "no-policy-found ok", ""},
		"TLSA without an answer": {attempt{h: secure(), tlsa: "fail"}, "", "4.7.5 DANE asks for authenticated TLS with mx.one.example: its TLSA records cannot be looked up", remote.Temporary,
			"tlsa dnssec-invalid", ""},
		"policy unknown":    {attempt{h: secure(), policies: fixed{sts: remote.STS{Unknown: errors.New("DNS is away")}}}, "not authenticated", "250 ok", remote.Delivered, "no-policy-found ok", "MAIL FROM:<ada@example.org>"},
		"policies are away": {attempt{h: secure(), policies: fixed{err: errors.New("no replica")}}, "", "4.4.3 no replica", remote.Temporary, "", ""},
		"required, policy unknown": {attempt{h: secure(), unsigned: true, policies: fixed{sts: remote.STS{Unknown: errors.New("DNS is away")}}, change: func(j *remote.Job) { j.Envelope.RequireTLS = true }}, "",
			"4.4.3 DNS is away", remote.Temporary, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := c.a.deliver(t, ca)
			if r.Kind != c.kind || !strings.Contains(r.TLS, c.tls) || c.tls == "" && r.TLS != "" || !strings.Contains(r.Reply.Error(), c.text) {
				t.Errorf("%+v", r)
			}
			var events, mails []string
			for _, e := range c.a.events {
				what := string(e.Failure)
				if what == "" {
					what = "ok"
				}
				events = append(events, fmt.Sprint(e.Type, " ", what))
				if e.Domain != "one.example" || e.Receiving != "" && (e.Host != "mx.one.example" || e.HostName != "mx.greets.example" || e.Receiving != "192.0.2.1") {
					t.Errorf("told %+v", e)
				}
			}
			for _, line := range c.a.h.got {
				if strings.HasPrefix(line, "MAIL") {
					mails = append(mails, line)
				}
			}
			if got := strings.Join(events, ", "); got != c.events {
				t.Errorf("told %q, not %q", got, c.events)
			}
			if got := strings.Join(mails, ", "); got != c.mails {
				t.Errorf("the host heard %q, not %q", got, c.mails)
			}
		})
	}
}
