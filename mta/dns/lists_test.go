package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

// TestLists: what is not there is an empty list, what cannot be learnt is an error, and names and texts are octets.
func TestLists(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add(zone)
	z.Add(`odd.example. 60 TXT "a \"b\" \\ " "\239\187\191"
two\ words\\.example. 60 A 192.0.2.7
mail.example. 60 MX 10 .
mail.example. 60 MX 20 a\.b.example.
mail.example. 60 MX 30 two\ words\\.example.
7.2.0.192.in-addr.arpa. 60 PTR Two\ Words\\.example.`)
	z.Fail("dead.example", errors.New("no answer"))
	z.Fail("9.2.0.192.in-addr.arpa", errors.New("no answer"))
	l := dns.Lists{Resolver: newResolver(z, nil)}
	ctx := context.Background()
	ask := func(kind, name string) string {
		var got any
		var err error
		switch kind {
		case "TXT":
			got, err = l.Texts(ctx, name)
		case "A":
			got, err = l.A(ctx, name)
		case "AAAA":
			got, err = l.AAAA(ctx, name)
		case "MX":
			got, err = l.Exchangers(ctx, name)
		case "PTR":
			got, err = l.Names(ctx, netip.MustParseAddr(name))
		case "is":
			got, err = l.Exists(ctx, name)
		}
		if err != nil && !errors.Is(err, dns.ErrTemporary) {
			t.Errorf("%s %s: %v", kind, name, err)
		}
		if err != nil {
			return "error"
		}
		return fmt.Sprintf("%q", got)
	}
	for question, want := range map[string]string{
		"TXT text.example":      `["v=spf1 -all"]`,
		"TXT odd.example":       `["a \"b\" \\ \ufeff"]`,
		"TXT host.example":      `[]`,
		"TXT nowhere.example":   `[]`,
		"TXT dead.example":      "error",
		"A both.example":        `["192.0.2.1"]`,
		"A alias.example":       `["192.0.2.1"]`,
		"A nowhere.example":     `[]`,
		"A dead.example":        "error",
		`A two words\.example`:  `["192.0.2.7"]`,
		`A two\032words.ex`:     `[]`,
		"AAAA both.example":     `["2001:db8::1"]`,
		"AAAA host.example":     `[]`,
		"AAAA dead.example":     "error",
		"MX null.example":       `[""]`,
		"MX mail.example":       `["" "" "two words\\.example"]`,
		"MX host.example":       `[]`,
		"MX dead.example":       "error",
		"PTR 192.0.2.7":         `["two words\\.example"]`,
		"PTR 192.0.2.8":         `[]`,
		"PTR 192.0.2.9":         "error",
		"is text.example":       "%!q(bool=true)",
		"is nowhere.example":    "%!q(bool=false)",
		"is dead.example":       "error",
		"is " + long(64) + ".x": "%!q(bool=false)",
	} {
		kind, name, _ := strings.Cut(question, " ")
		if got := ask(kind, name); got != want {
			t.Errorf("%s: %s, want %s", question, got, want)
		}
	}
}

func long(n int) string { return strings.Repeat("a", n) }
