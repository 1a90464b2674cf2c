package authn_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/arc"
	"github.com/rookery-mail/rookery/mta/authn"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/inbound"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fixed is a key that is the same in each run, and so are its signatures.
func fixed(t *testing.T, domain string) dkim.Key {
	t.Helper()
	seed := sha256.Sum256([]byte(domain))
	private, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	k, err := dkim.NewKey(domain, "k", private)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// listed is a message that a list changed, and sealed with its key on top of what it found.
func listed(t *testing.T, text string, k dkim.Key, results ...string) string {
	t.Helper()
	text = "Received: by list\r\n" + strings.Replace(text, "Hello there", "Hello there, says the list", 1)
	m, err := dkim.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := arc.Validate(context.Background(), m, func(context.Context, string) ([]string, error) { return []string{k.Record()}, nil })
	if err != nil {
		t.Fatal(err)
	}
	fields, err := chain.Seal(m, arc.Options{Key: k, Server: "mx." + k.Domain, Results: results, Time: at})
	if err != nil {
		t.Fatal(err)
	}
	return fields + text
}

// TestStories: who sent some messages, as fields tell it and as it is judged by.
func TestStories(t *testing.T) {
	author, other, list := fixed(t, "example.org"), fixed(t, "other.example"), fixed(t, "list.example")
	z := zoneOf(author, other, list)
	z.Add(`list.example. 60 IN TXT "v=spf1 ip4:198.51.100.9 -all"`)
	good := signed(t, plain, author)
	here := authn.Query{Client: client, Helo: "mx.example.org", From: "ann@example.org"}
	there := authn.Query{Client: netip.MustParseAddr("198.51.100.9"), Helo: "[198.51.100.9]", From: "bounces@list.example"}
	passed := "dmarc=pass header.from=example.org"
	var b strings.Builder
	for _, c := range []struct {
		name, text string
		q          authn.Query
		trusted    []string
		prepare    func(*dnstest.Zone)
	}{
		{name: "as it should be", text: good, q: here},
		{name: "without a signature", text: plain, q: here},
		{name: "from elsewhere, with a signature", text: good, q: there},
		{name: "forged", text: plain, q: there},
		{name: "forged, with a signature of somebody else", text: signed(t, plain, other), q: there},
		{name: "a report", text: good, q: authn.Query{Client: client, Helo: "mx.example.org"}},
		{name: "two fields From", text: "From: eve@other.example\r\n" + good, q: here},
		{name: "no client", text: good, q: authn.Query{From: "ann@example.org"}},
		{name: "by a list that nobody trusts", text: listed(t, good, list, passed), q: there},
		{name: "by a list that is trusted", text: listed(t, good, list, passed), q: there, trusted: []string{"List.example"}},
		{name: "by a list that is trusted, and says that it was forged", text: listed(t, good, list, "dmarc=fail header.from=example.org", "dkim=pass header.d=example.org"), q: there, trusted: []string{"list.example"}},
		{name: "by a list that is trusted, and tells of the signature alone", text: listed(t, good, list, "dkim=pass header.d=example.org"), q: there, trusted: []string{"list.example"}},
		{name: "by a list that is trusted, and tells of the signature of somebody else", text: listed(t, good, list, "dkim=pass header.d=other.example"), q: there, trusted: []string{"list.example"}},
		{name: "by a list that is trusted, about another author", text: listed(t, good, list, "dmarc=pass header.from=other.example"), q: there, trusted: []string{"list.example"}},
		{name: "by a list that is trusted, and changed behind it", text: strings.Replace(listed(t, good, list, passed), "says", "said", 1), q: there, trusted: []string{"list.example"}},
		{name: "the key cannot be had", text: good, q: there, prepare: func(z *dnstest.Zone) { z.Fail(author.Host(), errors.New("silence")) }},
		{name: "a header that cannot be read", text: " x\r\n" + plain, q: here},
	} {
		if c.prepare != nil {
			c.prepare(z)
		}
		c.q.Text = strings.NewReader(c.text)
		r, err := checker(z, func(n *authn.Config) { n.Trusted = func() []string { return c.trusted } }).Check(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		facts, _ := r.Facts()
		for _, f := range []*inbound.Result{&facts.IPRev, &facts.SPF, &facts.Helo} { // whose words are of other packages
			f.Detail = ""
		}
		facts.DMARC.Detail = ""
		text := fmt.Sprintf("%siprev %+v\nspf   %+v\nhelo  %+v\n", r.Field("mx.example.net"), facts.IPRev, facts.SPF, facts.Helo)
		for _, s := range facts.DKIM {
			text += fmt.Sprintf("dkim  %+v\n", s)
		}
		text += fmt.Sprintf("arc   %+v\ndmarc %+v\n", facts.ARC, facts.DMARC)
		fmt.Fprintf(&b, "# %s\n%s\n", c.name, strings.ReplaceAll(text, "\r\n", "\n"))
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/stories.golden", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/stories.golden")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("not as the golden file has it:\n%s", b.String())
	}
}

// TestSender: what was asked at MAIL is not asked again.
func TestSender(t *testing.T) {
	z := zoneOf()
	c := authn.New(authn.Config{Resolver: dns.Lists{Resolver: dns.New(dns.Config{Servers: []string{"x"}, Exchange: z.Exchange, Clock: func() time.Time { return at }})}})
	q := authn.Query{Client: client, Helo: "mx.example.org", From: "ann@example.org"}
	s := c.CheckSender(t.Context(), q)
	if s.SPF.Result != "pass" || s.Helo.Result != "pass" || s.IPRev.Result != "pass" {
		t.Fatalf("%+v", s)
	}
	s.SPF.Match = "as it was asked before"
	q.Sender, q.Text = &s, strings.NewReader(plain)
	if r, err := c.Check(t.Context(), q); err != nil || r.SPF.Match != s.SPF.Match || r.DMARC.Result != "pass" {
		t.Errorf("%+v, %v", r, err)
	}
}
