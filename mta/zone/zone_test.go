package zone_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/zone"
)

var update = flag.Bool("update", false, "rewrite golden files")

const (
	keyOne = "1111111111111111111111111111111111111111111111111111111111111111"
	keyTwo = "2222222222222222222222222222222222222222222222222222222222222222"
)

func facts() zone.Facts {
	a := netip.MustParseAddr
	return zone.Facts{
		Domain: "example.org",
		Hosts: []zone.Host{
			{Name: "mx1.example.org", Preference: 10, Addresses: []netip.Addr{a("2001:db8::1"), a("192.0.2.1")}, Key: keyOne},
			{Name: "mx2.example.net", Preference: 10, Addresses: []netip.Addr{a("192.0.2.2")}, Key: keyTwo},
		},
		Services: []zone.Service{{Name: "_submissions", Port: 465}, {Name: "_imaps", Port: 993}},
		Keys:     []zone.Key{{Name: "r1._domainkey.example.org", Text: "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 400), State: "signing", Signs: true}},
		Policy:   &zone.Policy{ID: "abc123", Mode: "enforce"},
		Reports:  "tls-reports@example.org", Watcher: "postmaster@example.org",
	}
}

// TestSnippet: the lines of a zone file.
func TestSnippet(t *testing.T) {
	var b bytes.Buffer
	f := facts()
	fmt.Fprintf(&b, "# two nodes\n%s", zone.Snippet(zone.Records(f)))
	f.Hosts[0].Addresses, f.Hosts[0].Key, f.Hosts = nil, "", f.Hosts[:1]
	f.Keys, f.Policy, f.Services = nil, nil, nil
	f.Senders = []zone.Sender{{netip.MustParseAddr("198.51.100.7"), "out.example.org"}, {netip.MustParseAddr("2001:db8::7"), "out.example.org"}}
	fmt.Fprintf(&b, "# a node whose address is not known, and addresses to send by\n%s", zone.Snippet(zone.Records(f)))
	if *update {
		if err := os.WriteFile("testdata/snippet.golden", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/snippet.golden")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s", b.String())
	}
}

// TestShared: nodes that share a name have one record of it, and a key each.
func TestShared(t *testing.T) {
	f := facts()
	f.Hosts[1].Name = f.Hosts[0].Name
	seen := map[string]int{}
	for _, r := range zone.Records(f) {
		seen[r.Name+" "+r.Type+" "+r.Data]++
	}
	for record, n := range seen {
		if n != 1 {
			t.Errorf("%d times: %s", n, record)
		}
	}
	if seen["_25._tcp.mx1.example.org TLSA 3 1 1 "+keyOne] != 1 || seen["_25._tcp.mx1.example.org TLSA 3 1 1 "+keyTwo] != 1 {
		t.Error(seen)
	}
}

// published answers every question as it should be.
func published(f zone.Facts) map[zone.Question]zone.Answer {
	answers := map[zone.Question]zone.Answer{}
	for _, q := range zone.Questions(f) {
		answers[q] = zone.Answer{}
	}
	for _, r := range zone.Records(f) {
		q := zone.Question{Name: r.Name, Type: r.Type}
		if r.Data != "" {
			answers[q] = zone.Answer{Data: append(answers[q].Data, r.Data)}
		}
	}
	return answers
}

func said(list []zone.Finding) string {
	var b strings.Builder
	for _, f := range list {
		if f.State != zone.OK {
			fmt.Fprintf(&b, "%s %s wrong=%v; ", f.Role, f.State, f.Wrong())
		}
	}
	return strings.TrimSuffix(b.String(), "; ")
}

// TestCheck: all that is published is right, and each thing that is changed is found.
func TestCheck(t *testing.T) {
	const domain = "example.org"
	type answers = map[zone.Question]zone.Answer
	q := func(name, kind string) zone.Question { return zone.Question{Name: name, Type: kind} }
	set := func(name, kind string, data ...string) func(*zone.Facts, answers) {
		return func(_ *zone.Facts, a answers) { a[q(name, kind)] = zone.Answer{Data: data} }
	}
	sends := func(address string) func(*zone.Facts, answers) {
		return func(f *zone.Facts, _ answers) {
			f.Senders = []zone.Sender{{netip.MustParseAddr(address), "mx1.example.org"}}
		}
	}
	both := func(list ...func(*zone.Facts, answers)) func(*zone.Facts, answers) {
		return func(f *zone.Facts, a answers) {
			for _, change := range list {
				change(f, a)
			}
		}
	}
	rev := zone.Reverse(netip.MustParseAddr("192.0.2.7"))
	for what, c := range map[string]struct {
		change func(*zone.Facts, answers)
		want   string
	}{
		"all is there":                  {func(*zone.Facts, answers) {}, ""},
		"no MX":                         {set(domain, "MX"), "mx missing wrong=true; mx missing wrong=true; spf differs wrong=true"},
		"an MX of another preference":   {set(domain, "MX", "5 mx1.example.org", "7 mx2.example.net"), ""},
		"one node is no MX":             {set(domain, "MX", "10 mx1.example.org"), "mx missing wrong=false; spf differs wrong=true"},
		"an MX of somebody else":        {set(domain, "MX", "10 mx1.example.org", "10 mx2.example.net", "20 old.example"), "mx differs wrong=false"},
		"no SPF":                        {set(domain, "TXT", "google-site-verification=x"), "spf missing wrong=true"},
		"SPF twice":                     {set(domain, "TXT", "v=spf1 mx -all", "v=spf1 a -all"), "spf differs wrong=true"},
		"SPF with a fault":              {set(domain, "TXT", "v=spf1 mx -all ipv4:192.0.2.1"), "spf differs wrong=true"},
		"SPF with networks":             {set(domain, "TXT", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"), ""},
		"SPF of one node":               {set(domain, "TXT", "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all"), "spf differs wrong=true"},
		"SPF of somebody else":          {set(domain, "TXT", "v=spf1 include:_spf.example.com ~all"), "spf unknown wrong=false"},
		"SPF that says no first":        {set(domain, "TXT", "v=spf1 -ip4:192.0.2.1 mx ~all"), "spf differs wrong=true"},
		"SPF for all":                   {set(domain, "TXT", "v=spf1 +all"), ""},
		"SPF of the domain's address":   {both(set(domain, "TXT", "v=spf1 a -all"), set(domain, "A", "192.0.2.7"), sends("192.0.2.7"), set(rev, "PTR", "mx1.example.org")), ""},
		"an address without a name":     {both(set(domain, "TXT", "v=spf1 ip4:192.0.2.7"), sends("192.0.2.7"), set(rev, "PTR")), "reverse missing wrong=true"},
		"an address of another name":    {both(set(domain, "TXT", "v=spf1 ip4:192.0.2.7"), sends("192.0.2.7"), set(rev, "PTR", "x.example")), "reverse differs wrong=true"},
		"a key that is gone":            {set("r1._domainkey.example.org", "TXT"), "dkim missing wrong=true"},
		"another key":                   {set("r1._domainkey.example.org", "TXT", "v=DKIM1; p=BBBB"), "dkim differs wrong=true"},
		"the key, written otherwise":    {set("r1._domainkey.example.org", "TXT", "p="+strings.Repeat("A", 200)+" "+strings.Repeat("A", 200)), ""},
		"DMARC that rejects":            {set("_dmarc.example.org", "TXT", "v=DMARC1; p=reject"), ""},
		"DMARC with a wrong sp":         {set("_dmarc.example.org", "TXT", "v=DMARC1; p=reject; sp=all"), "dmarc differs wrong=false"},
		"DMARC of no policy":            {set("_dmarc.example.org", "TXT", "v=DMARC1; rua=mailto:a@b"), "dmarc differs wrong=false"},
		"an old policy id":              {set("_mta-sts.example.org", "TXT", "v=STSv1; id=old"), "mta-sts differs wrong=true"},
		"a policy without a host":       {both(set("mta-sts.example.org", "A"), set("mta-sts.example.org", "AAAA")), "mta-sts-host missing wrong=true"},
		"a policy on a web server":      {both(set("mta-sts.example.org", "A", "203.0.113.1"), set("mta-sts.example.org", "AAAA")), "mta-sts-host unknown wrong=false"},
		"reports go elsewhere":          {set("_smtp._tls.example.org", "TXT", "v=TLSRPTv1; rua=mailto:x@y"), "tls-rpt differs wrong=false"},
		"a certificate that is not":     {set("_25._tcp.mx1.example.org", "TLSA", "3 1 1 "+keyTwo), "tlsa differs wrong=true"},
		"the next certificate as well":  {set("_25._tcp.mx1.example.org", "TLSA", "3 1 1 "+keyTwo, "3 1 1 "+keyOne), ""},
		"an authority":                  {set("_25._tcp.mx1.example.org", "TLSA", "2 1 1 "+keyTwo), "tlsa unknown wrong=false"},
		"no certificate":                {set("_25._tcp.mx1.example.org", "TLSA"), "tlsa missing wrong=false"},
		"a name for all nodes":          {set("_imaps._tcp.example.org", "SRV", "0 1 993 mail.example.org"), ""},
		"no services":                   {set("_imaps._tcp.example.org", "SRV"), "service missing wrong=false; service missing wrong=false"},
		"a host without an address":     {func(f *zone.Facts, _ answers) { f.Hosts[0].Addresses = nil }, "host missing wrong=true; mta-sts-host unknown wrong=false"},
		"a host elsewhere without one":  {func(f *zone.Facts, _ answers) { f.Hosts[1].Addresses = nil }, "mta-sts-host unknown wrong=false; host missing wrong=true"},
		"DNS that does not answer once": {func(_ *zone.Facts, a answers) { a[q(domain, "MX")] = zone.Answer{Err: "timeout"} }, "mx unknown wrong=false; mx unknown wrong=false; spf unknown wrong=false"},
	} {
		f := facts()
		a := published(f)
		c.change(&f, a)
		if got := said(zone.Check(f, a)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", what, got, c.want)
		}
	}
}

func TestReverse(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":   "1.2.0.192.in-addr.arpa",
		"2001:db8::1": "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		if got := zone.Reverse(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}

// TestDocument: the policy of RFC 8461, section 3.2, whose id goes with its text.
func TestDocument(t *testing.T) {
	one := zone.Document("enforce", []string{"mx1.example.org", "*.example.net"}, 604800)
	if want := "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n"; one != want {
		t.Errorf("%q", one)
	}
	other := zone.Document("testing", []string{"mx1.example.org", "*.example.net"}, 604800)
	if a, b := zone.DocumentID(one), zone.DocumentID(other); a == b || a != zone.DocumentID(one) || len(a) > 32 || strings.Trim(a, "0123456789abcdef") != "" {
		t.Errorf("%s, %s", a, b)
	}
}

// TestFetched: what others get may be written otherwise, but not say something else.
func TestFetched(t *testing.T) {
	f := facts()
	f.Policy.Text = zone.Document("enforce", []string{"mx1.example.org"}, 86400)
	for what, c := range map[string]struct {
		text, failed string
		want         zone.State
	}{
		"the same":       {f.Policy.Text, "", zone.OK},
		"other lines":    {strings.ReplaceAll(f.Policy.Text, "\r\n", "\n"), "", zone.OK},
		"another policy": {zone.Document("testing", []string{"mx1.example.org"}, 86400), "", zone.Differs},
		"none":           {"", "connection refused", zone.Missing},
	} {
		if got := zone.Fetched(f, c.text, c.failed); got.State != c.want || got.Wrong() != (c.want != zone.OK) {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

// FuzzCheck: whatever DNS says is judged, and what is judged right is there.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{"v=spf1 +ip4:192.0.2.0/24 -all", "v=spf1 ip6:x redirect=", "v=DMARC1;p=reject", "v=STSv1; id=", "v=TLSRPTv1;rua=", "v=DKIM1;p=", "3 1 1", " "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		known := facts()
		answers := map[zone.Question]zone.Answer{}
		for _, q := range zone.Questions(known) {
			answers[q] = zone.Answer{Data: []string{text}}
		}
		for _, found := range zone.Check(known, answers) {
			if found.State == zone.OK && len(found.Found) == 0 {
				t.Errorf("%+v", found)
			}
		}
	})
}
