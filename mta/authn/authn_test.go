package authn_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta/authn"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

const plain = "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: a word\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nHello there\r\n"

// newKey makes a key of a domain.
func newKey(t testing.TB, kind, domain string) dkim.Key {
	t.Helper()
	private, err := dkim.Generate(kind, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := dkim.NewKey(domain, "k", private)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signed(t testing.TB, text string, k dkim.Key) string {
	t.Helper()
	m, err := dkim.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	field, err := m.Sign(dkim.Options{Key: k, Time: at})
	if err != nil {
		t.Fatal(err)
	}
	return field + text
}

// zoneOf is a DNS with a domain as it should be, and the keys that are given.
func zoneOf(keys ...dkim.Key) *dnstest.Zone {
	z := &dnstest.Zone{}
	z.Add(`example.org. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"
mx.example.org. 60 IN A 192.0.2.1
mx.example.org. 60 IN TXT "v=spf1 a -all"
1.2.0.192.in-addr.arpa. 60 IN PTR mx.example.org.
_dmarc.example.org. 60 IN TXT "v=DMARC1; p=reject"`)
	for _, k := range keys {
		record := k.Record()
		text := ""
		for len(record) > 200 {
			text, record = text+`"`+record[:200]+`" `, record[200:]
		}
		z.Add(k.Host() + `. 60 IN TXT ` + text + `"` + record + `"`)
	}
	return z
}

func checker(z *dnstest.Zone, change func(*authn.Config)) *authn.Checker {
	c := authn.Config{Resolver: dns.Lists{Resolver: dns.New(dns.Config{Servers: []string{"x"}, Exchange: z.Exchange, Rounds: 1})}, Clock: func() time.Time { return at },
		Draw: func() int { return 0 }, Hostname: "mx.example.net"}
	if change != nil {
		change(&c)
	}
	return authn.New(c)
}

var client = netip.MustParseAddr("192.0.2.1")

// silent is a DNS that never answers.
type silent struct{}

func (silent) Texts(ctx context.Context, _ string) ([]string, error) { return nil, wait(ctx) }
func (silent) A(ctx context.Context, _ string) ([]netip.Addr, error) { return nil, wait(ctx) }
func (silent) AAAA(ctx context.Context, _ string) ([]netip.Addr, error) {
	return nil, wait(ctx)
}
func (silent) Exchangers(ctx context.Context, _ string) ([]string, error) { return nil, wait(ctx) }
func (silent) Names(ctx context.Context, _ netip.Addr) ([]string, error)  { return nil, wait(ctx) }
func (silent) Exists(ctx context.Context, _ string) (bool, error)         { return false, wait(ctx) }

func wait(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestSilence: a DNS that never answers costs the deadline, once, and leaves temperror.
func TestSilence(t *testing.T) {
	k := newKey(t, dkim.Ed25519, "example.org")
	c := authn.New(authn.Config{Resolver: silent{}, Patience: 50 * time.Millisecond, Clock: func() time.Time { return at }})
	begun := time.Now()
	r, err := c.Check(t.Context(), authn.Query{Client: client, Helo: "mx.example.org", From: "ann@example.org", Text: strings.NewReader(signed(t, plain, k))})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	if r.IPRev.Result != "temperror" || r.SPF.Result != "temperror" || r.Helo.Result != "temperror" || r.DMARC.Result != "temperror" || len(r.DKIM) != 1 || r.DKIM[0].Result != dkim.TempError {
		t.Errorf("%+v", r)
	}
	facts, author := r.Facts()
	if facts.DKIM[0].Result != "temperror" || author.Fields != 1 || len(author.Addresses) != 1 {
		t.Errorf("%+v, %+v", facts, author)
	}
}

// TestUnreadable: a header that cannot be read is told, an error of the source is one.
func TestUnreadable(t *testing.T) {
	c := checker(zoneOf(), nil)
	r, err := c.Check(t.Context(), authn.Query{Client: client, From: "ann@example.org", Text: strings.NewReader(" fold\r\n" + plain)})
	if err != nil || r.Problem == "" || r.IPRev.Result != "pass" {
		t.Errorf("%+v: %v", r, err)
	}
	broken := errors.New("broken")
	if _, err := c.Check(t.Context(), authn.Query{Text: iotest.ErrReader(broken)}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}
