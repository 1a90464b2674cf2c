package dns_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

const zone = `
example.org. 60 IN MX 20 b.example.org.
example.org. 60 IN MX 10 MX.example.org.
example.org. 60 IN MX 10 a.example.org.
null.example. 60 IN MX 0 .
host.example. 60 IN A 192.0.2.1
both.example. 60 IN A 192.0.2.1
both.example. 60 IN AAAA 2001:db8::1
mapped.example. 60 IN AAAA ::ffff:192.0.2.1
alias.example. 60 IN CNAME both.example.
loop.example. 60 IN CNAME pool.example.
pool.example. 60 IN CNAME loop.example.
text.example. 60 IN TXT "v=spf1 " "-all"
_25._tcp.mx.example.org. 60 IN TLSA 3 1 1 0D6FCE3D8A4F0E3B8F0F1D8F6F0E3B8F0F1D8F6F0E3B8F0F1D8F6F0E3B8F0F1D
`

func newResolver(z *dnstest.Zone, change func(*dns.Config)) *dns.Resolver {
	c := dns.Config{Servers: []string{"192.0.2.53:53"}, Exchange: z.Exchange}
	if change != nil {
		change(&c)
	}
	return dns.New(c)
}

func TestMX(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add(zone)
	z.Fail("dead.example", errors.New("no answer"))
	for i := range 500 {
		z.Add(fmt.Sprintf("many.example. 60 IN MX %d mx%d.many.example.", 500-i, i))
	}
	r := newResolver(z, nil)
	for domain, want := range map[string]string{
		"example.org":     "10 a.example.org, 10 mx.example.org, 20 b.example.org",
		"EXAMPLE.org":     "10 a.example.org, 10 mx.example.org, 20 b.example.org",
		"host.example":    "implicit 0 host.example",
		"null.example":    "null",
		"nowhere.example": dns.ErrNoName.Error(),
		"dead.example":    dns.ErrTemporary.Error(),
		"loop.example":    "implicit 0 loop.example",
	} {
		m, err := r.MX(context.Background(), domain)
		if got := describe(m, err); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
	m, err := r.MX(context.Background(), "many.example")
	if err != nil || len(m.Hosts) != dns.MaxHosts || m.Hosts[0].Name != "mx499.many.example" {
		t.Errorf("500 hosts: %d, %v", len(m.Hosts), err)
	}
}

func describe(m dns.Mail, err error) string {
	for _, sentinel := range []error{dns.ErrNoName, dns.ErrNoRecord, dns.ErrTemporary} {
		if errors.Is(err, sentinel) {
			return sentinel.Error()
		}
	}
	if m.Null {
		return "null"
	}
	text := ""
	if m.Implicit {
		text = "implicit "
	}
	for i, h := range m.Hosts {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", h.Preference, h.Name)
	}
	return text
}

func TestAddresses(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add(zone)
	r := newResolver(z, nil)
	for host, want := range map[string]string{
		"host.example": "[] [192.0.2.1]", "both.example": "[2001:db8::1] [192.0.2.1]", "alias.example": "[2001:db8::1] [192.0.2.1]",
		"mapped.example": "[] [] no record", "nowhere.example": "[] [] no name", "text.example": "[] [] no record",
	} {
		a, err := r.Addresses(context.Background(), host)
		got := fmt.Sprint(a.V6, " ", a.V4)
		switch {
		case errors.Is(err, dns.ErrNoName):
			got += " no name"
		case errors.Is(err, dns.ErrNoRecord):
			got += " no record"
		case err != nil:
			got += " " + err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

// TestSecure: only a resolver that is said to validate is believed.
func TestSecure(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add(zone)
	z.Secure("example.org", "_25._tcp.mx.example.org")
	for _, validated := range []bool{true, false} {
		r := newResolver(z, func(c *dns.Config) { c.Validated = validated })
		m, err := r.MX(context.Background(), "example.org")
		if err != nil || m.Secure != validated {
			t.Errorf("validated %v: %v, %v", validated, m, err)
		}
		list, secure, err := r.TLSA(context.Background(), "mx.example.org")
		if err != nil || len(list) != 1 || secure != validated || list[0].Usage != 3 || list[0].Data[:4] != "0d6f" {
			t.Errorf("TLSA: %v, %v, %v", list, secure, err)
		}
	}
	if texts, _, err := newResolver(z, nil).Texts(context.Background(), "text.example"); err != nil || !slices.Equal(texts, []string{"v=spf1 -all"}) {
		t.Errorf("%q, %v", texts, err)
	}
}

// TestKept: answers are kept for as long as they say, and faults are not.
func TestKept(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add(zone)
	now := time.Now()
	r := newResolver(z, func(c *dns.Config) { c.Clock = func() time.Time { return now }; c.Rounds = 1 })
	ask := func(domain string) int {
		before := z.Asked()
		_, _ = r.MX(context.Background(), domain)
		return z.Asked() - before
	}
	if first, second := ask("example.org"), ask("Example.ORG."); first != 1 || second != 0 {
		t.Errorf("asked %d, then %d times", first, second)
	}
	now = now.Add(61 * time.Second)
	if again := ask("example.org"); again != 1 {
		t.Errorf("asked %d times when its life was over", again)
	}
	z.Fail("dead.example", errors.New("no answer"))
	if ask("dead.example") != 1 || ask("dead.example") != 1 {
		t.Error("a fault was kept")
	}
}

// TestLies: what does not answer the question is no answer, and another server is asked.
func TestLies(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add(zone)
	servers := 0
	r := newResolver(z, func(c *dns.Config) {
		c.Servers = []string{"liar", "refuser", "honest"}
		c.Exchange = func(ctx context.Context, q *mdns.Msg, server string) (*mdns.Msg, error) {
			servers++
			m, err := z.Exchange(ctx, q, server)
			switch server {
			case "liar":
				m.Question[0].Name = "other.example."
			case "refuser":
				m.Rcode, m.Answer = mdns.RcodeRefused, nil
			}
			return m, err
		}
	})
	if m, err := r.MX(context.Background(), "example.org"); err != nil || len(m.Hosts) != 3 || servers != 3 {
		t.Errorf("%v, %v after %d servers", m, err, servers)
	}
}
