package route_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/route"
)

func record(name string, r *directorypb.Route) *directorypb.MailRecord {
	return &directorypb.MailRecord{Name: name, Record: &directorypb.MailRecord_Route{Route: r}}
}

func TestFind(t *testing.T) {
	table := route.NewTable([]*directorypb.MailRecord{
		record("rest", &directorypb.Route{Order: 100, Recipients: []string{"*"}}),
		record("bulk", &directorypb.Route{Order: 10, Recipients: []string{"*"}, Senders: []string{"news@example.org", ".lists.example.org", "shop.example"}}),
		record("below", &directorypb.Route{Order: 20, Recipients: []string{".example.com"}}),
		record("one", &directorypb.Route{Order: 20, Recipients: []string{"example.com", "example.net"}}),
		record("reports", &directorypb.Route{Order: 5, Recipients: []string{"*"}, Senders: []string{route.NullSender}}),
		{Name: "no route", Record: &directorypb.MailRecord_Egress{Egress: &directorypb.Egress{}}},
	})
	if len(table) != 5 {
		t.Fatalf("%d routes", len(table))
	}
	for _, c := range []struct{ sender, domain, want string }{
		{"ada@example.org", "example.com", "one"},
		{"ada@example.org", "a.b.EXAMPLE.com", "below"},
		{"ada@example.org", "notexample.com", "rest"},
		{"News@Example.org", "example.com", "bulk"},
		{"x@a.lists.example.org", "example.com", "bulk"},
		{"x@lists.example.org", "example.com", "one"},
		{"x@shop.example", "example.info", "bulk"},
		{"x@ashop.example", "example.info", "rest"},
		{"", "example.com", "reports"},
	} {
		if r, ok := table.Find(c.sender, c.domain); !ok || r.Name != c.want {
			t.Errorf("<%s> to %s goes by %q, not %q", c.sender, c.domain, r.Name, c.want)
		}
	}
	if r, ok := table[:1].Find("ada@example.org", "example.com"); ok {
		t.Errorf("a route for reports takes others: %v", r)
	}
}

func TestPrepare(t *testing.T) {
	r := &directorypb.Route{Recipients: []string{"Example.COM", ".Example.net"}, Senders: []string{"Ada@Example.org"}, Hosts: []string{"relay.example"}, Username: "u", Password: "p", Egress: []string{"2001:DB8::1"}}
	if err := route.Prepare("out", r); err != nil || r.Recipients[0] != "example.com" || r.Recipients[1] != ".example.net" || r.Senders[0] != "ada@example.org" || r.Tls != "verify" || r.Egress[0] != "2001:db8::1" {
		t.Error(r, err)
	}
	if err := route.Prepare("all", &directorypb.Route{}); err != nil {
		t.Error(err)
	}
	for name, r := range map[string]*directorypb.Route{
		"": {}, "two words": {}, "a/b": {},
		"recipients": {Recipients: []string{"a@b"}}, "recipients2": {Recipients: []string{"."}}, "recipients3": {Recipients: []string{"ü.example"}},
		"senders": {Senders: []string{"@b"}}, "senders2": {Senders: []string{""}}, "senders3": {Senders: []string{"a@"}},
		"egress": {Egress: []string{"n1"}}, "tls": {Tls: "no"},
		"half": {Hosts: []string{"h"}, Username: "u"}, "clear": {Hosts: []string{"h"}, Username: "u", Password: "p", Tls: "may"},
		"nowhere": {Username: "u", Password: "p"}, "rule": {Tls: "verify"},
	} {
		if err := route.Prepare(name, r); !errors.Is(err, route.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzPatterns: patterns that are taken fit what they say, and nothing that has only their end.
func FuzzPatterns(f *testing.F) {
	f.Add("example.com", "ada@example.org", "a.example.com")
	f.Add(".example.com", "<>", "example.com")
	f.Add("*", ".example.org", "x")
	f.Fuzz(func(t *testing.T, recipients, senders, domain string) {
		r := &directorypb.Route{Recipients: []string{recipients}, Senders: []string{senders}}
		if route.Prepare("x", r) != nil {
			return
		}
		table := route.Table{{Name: "x", Route: r}}
		sender := r.Senders[0]
		switch {
		case sender == route.NullSender:
			sender = ""
		case strings.HasPrefix(sender, "."):
			sender = "a@b" + sender
		case !strings.Contains(sender, "@"):
			sender = "a@" + sender
		}
		p := r.Recipients[0]
		switch {
		case p == "*":
			p = "any.example"
		case strings.HasPrefix(p, "."):
			if _, ok := table.Find(sender, p[1:]); ok {
				t.Errorf("%s fits %s", p[1:], p)
			}
			p = "x" + p
		default:
			if _, ok := table.Find(sender, "x"+p); ok {
				t.Errorf("x%s fits %s", p, p)
			}
		}
		if _, ok := table.Find(sender, p); !ok {
			t.Errorf("<%s> to %s does not fit %v", sender, p, r)
		}
		_, _ = table.Find(domain, domain)
	})
}
