package iprev_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/iprev"
)

func TestCheck(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add(`1.2.0.192.in-addr.arpa. PTR Mail.Example.org.
2.2.0.192.in-addr.arpa. PTR liar.example.
3.2.0.192.in-addr.arpa. PTR liar.example.
3.2.0.192.in-addr.arpa. PTR mail.example.org.
5.2.0.192.in-addr.arpa. PTR slow.example.
6.2.0.192.in-addr.arpa. PTR slow.example.
6.2.0.192.in-addr.arpa. PTR mail.example.org.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.example.org.
mail.example.org. A 198.51.100.1
mail.example.org. A 192.0.2.1
mail.example.org. A 192.0.2.3
mail.example.org. A 192.0.2.6
mail.example.org. AAAA 2001:db8::1`)
	for i := range 30 {
		z.Add(fmt.Sprintf("8.2.0.192.in-addr.arpa. PTR n%02d.example.", i))
	}
	z.Add("n29.example. A 192.0.2.8")
	z.Fail("slow.example", errors.New("no answer"))
	z.Fail("7.2.0.192.in-addr.arpa", errors.New("no answer"))
	for client, want := range map[string]string{
		"192.0.2.1":        "pass mail.example.org",
		"::ffff:192.0.2.1": "pass mail.example.org",
		"2001:db8::1":      "pass mail.example.org",
		"192.0.2.2":        "fail no name of 192.0.2.2 leads back to it",
		"192.0.2.3":        "pass mail.example.org",
		"192.0.2.4":        "permerror 192.0.2.4 has no name",
		"192.0.2.5":        "temperror",
		"192.0.2.6":        "pass mail.example.org",
		"192.0.2.7":        "temperror",
		"192.0.2.8":        "fail no name of 192.0.2.8 leads back to it",
	} {
		before := z.Asked()
		o := iprev.Check(context.Background(), netip.MustParseAddr(client), dns.Lists{Resolver: dns.New(dns.Config{Servers: []string{"zone"}, Rounds: 1, Exchange: z.Exchange})})
		if got := string(o.Result) + " " + o.Name + o.Problem; !strings.HasPrefix(got, want) || len(o.Names) > iprev.MaxNames || z.Asked()-before > 1+iprev.MaxNames {
			t.Errorf("%s: %s (%+v), want %s", client, got, o, want)
		}
	}
}
