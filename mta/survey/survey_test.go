package survey_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/survey"
	"github.com/rookery-mail/rookery/mta/zone"
)

func facts(hosts map[string][]netip.Addr) zone.Facts {
	return zone.Facts{
		Domain:   "example.org",
		Hosts:    []zone.Host{{Name: "mx1.example.org", Preference: 10, Key: "ab01", Addresses: hosts["mx1.example.org"]}},
		Services: []zone.Service{{Name: "_imaps", Port: 993}},
		Policy:   &zone.Policy{ID: "x1", Mode: "testing"},
		Reports:  "tls-reports@example.org",
	}
}

// TestSurvey: a zone that was made of the snippet is found right, and one that is empty is found missing.
func TestSurvey(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add("mx1.example.org. 60 IN A 192.0.2.1\nmx1.example.org. 60 IN AAAA 2001:db8::1")
	r := dns.New(dns.Config{Servers: []string{"192.0.2.53:53"}, Exchange: z.Exchange})
	f := facts(survey.Addresses(context.Background(), r, []string{"mx1.example.org", "nowhere.example.org"}))
	if got := fmt.Sprint(f.Hosts[0].Addresses); got != "[2001:db8::1 192.0.2.1]" {
		t.Fatal(got)
	}
	empty := survey.Ask(context.Background(), dns.New(dns.Config{Servers: []string{"x"}, Exchange: z.Exchange}), zone.Questions(f))
	for _, found := range zone.Check(f, empty) {
		if want := map[bool]zone.State{true: zone.OK, false: zone.Missing}[found.Role == zone.RoleHost]; found.State != want {
			t.Errorf("%s %s: %s", found.Role, found.Name, found.State)
		}
	}
	for _, record := range zone.Records(f) {
		if record.Role != zone.RoleHost {
			z.Add(record.Name + ". 60 IN " + record.Type + " " + zone.Presentation(record))
		}
	}
	full := survey.Ask(context.Background(), dns.New(dns.Config{Servers: []string{"x"}, Exchange: z.Exchange}), zone.Questions(f))
	for _, found := range zone.Check(f, full) {
		if found.State != zone.OK {
			t.Errorf("%s %s: %s (%q)", found.Role, found.Name, found.State, found.Found)
		}
	}
}

// TestSilence: what DNS does not answer is unknown, and not missing.
func TestSilence(t *testing.T) {
	z := new(dnstest.Zone)
	z.Fail("_dmarc.example.org", errors.New("no answer"))
	r := dns.New(dns.Config{Servers: []string{"x"}, Exchange: z.Exchange})
	for _, found := range zone.Check(facts(nil), survey.Ask(context.Background(), r, zone.Questions(facts(nil)))) {
		if (found.State == zone.Unknown) != (found.Role == zone.RoleDMARC) {
			t.Errorf("%s: %s", found.Role, found.State)
		}
	}
}
