package spf_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/spf"
)

// BenchmarkCheck is a policy as large senders have them, with five terms that ask, answered from the resolver's cache.
func BenchmarkCheck(b *testing.B) {
	z := new(dnstest.Zone)
	z.Add(`shop.example. 600 TXT "v=spf1 include:_spf.post.example include:lists.example ~all"
_spf.post.example. 600 TXT "v=spf1 include:a.post.example include:b.post.example include:c.post.example ~all"
a.post.example. 600 TXT "v=spf1 ip4:198.51.100.0/25 ip4:203.0.113.0/24 ip4:198.18.0.0/16 ip4:198.19.16.0/20 ip4:10.1.0.0/16 ip4:10.2.0.0/16 ~all"
b.post.example. 600 TXT "v=spf1 ip6:2001:db8:1::/36 ip6:2001:db8:2000::/36 ip6:2001:db8:4000::/36 ip6:2001:db8:6000::/36 ~all"
c.post.example. 600 TXT "v=spf1 ip4:172.16.0.0/19 ip4:172.17.32.0/20 ip4:172.18.48.0/20 ip4:172.19.128.0/19 ~all"
lists.example. 600 TXT "v=spf1 ip4:192.0.2.0/28 -all"`)
	r := dns.Lists{Resolver: dns.New(dns.Config{Servers: []string{"zone"}, Exchange: z.Exchange})}
	q := spf.Query{Client: netip.MustParseAddr("192.0.2.1"), Helo: "out.shop.example", From: "ann@shop.example"}
	b.ReportAllocs()
	for b.Loop() {
		if o := spf.Check(context.Background(), q, r); o.Result != spf.Pass || o.Lookups != 5 {
			b.Fatal(o)
		}
	}
}
