package authn_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/authn"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dmarc"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/iprev"
	"github.com/rookery-mail/rookery/mta/spf"
)

// spent is the CPU time of this process, which says on a busy machine what the time of day does not.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTypical authenticates a message of 10 KiB with one signature of RSA, whose sender's SPF record takes five look-ups, with all of
// DNS in the cache: the whole, and its parts.
func BenchmarkTypical(b *testing.B) {
	k := newKey(b, dkim.RSA, "example.org")
	z := zoneOf(k)
	z.Add(`big.example. 3600 IN TXT "v=spf1 include:a.big.example include:b.big.example mx -all"
a.big.example. 3600 IN TXT "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 include:c.big.example ~all"
b.big.example. 3600 IN TXT "v=spf1 ip6:2001:db8::/32 a:out.big.example ~all"
c.big.example. 3600 IN TXT "v=spf1 ip4:198.18.0.0/15 ~all"
out.big.example. 3600 IN A 198.51.100.3
big.example. 3600 IN MX 10 mx.example.org.
_dmarc.big.example. 3600 IN TXT "v=DMARC1; p=none"`)
	text := signed(b, plain+strings.Repeat("A line of text as people write them, of some length.\r\n", 180), k)
	lists := dns.Lists{Resolver: dns.New(dns.Config{Servers: []string{"x"}, Exchange: z.Exchange, Clock: func() time.Time { return at }})}
	c := authn.New(authn.Config{Resolver: lists, Kept: lists.Kept(), Hostname: "mx.example.net", Clock: func() time.Time { return at }})
	q := authn.Query{Client: client, Helo: "mx.example.org", From: "ann@big.example"}
	ctx := context.Background()
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		begun := spent(b)
		defer func() { b.ReportMetric(float64(spent(b)-begun)/float64(b.N), "cpu-ns/op") }()
		for b.Loop() {
			q.Text = strings.NewReader(text)
			r, err := c.Check(ctx, q)
			if err != nil || r.SPF.Result != spf.Pass || r.SPF.Lookups != 5 || r.DMARC.Result != dmarc.Pass || r.IPRev.Result != iprev.Pass || r.DKIM[0].Result != dkim.Pass {
				b.Fatalf("%+v, %v", r, err)
			}
		}
	})
	b.Run("dkim", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if list, err := dkim.Verify(ctx, strings.NewReader(text), dkim.Wish{Time: at}, lists.Texts); err != nil || list[0].Result != dkim.Pass {
				b.Fatal(list, err)
			}
		}
	})
	b.Run("spf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if o := spf.Check(ctx, spf.Query{Client: client, Helo: q.Helo, From: q.From}, lists); o.Result != spf.Pass || o.Lookups != 5 {
				b.Fatal(o)
			}
		}
	})
	b.Run("dmarc", func(b *testing.B) {
		b.ReportAllocs()
		query := dmarc.Query{From: []string{" Ann <ann@example.org>"}, SPF: dmarc.Identifier{Domain: "big.example", Result: "pass"}, DKIM: []dmarc.Identifier{{Domain: "example.org", Result: "pass"}}}
		for b.Loop() {
			if o := dmarc.Evaluate(ctx, query, lists); o.Result != dmarc.Pass {
				b.Fatal(o)
			}
		}
	})
}
