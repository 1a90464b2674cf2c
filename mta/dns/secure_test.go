package dns_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

// TestSecureAddresses: addresses are vouched for where all of them are, with the CNAMEs that lead to them; one kind that cannot be learnt
// does not make the other less sure.
func TestSecureAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		host   string
		secure []string
		fail   string
		want   bool
		target string
	}{
		"signed":               {"both.example", []string{"both.example"}, "", true, "both.example"},
		"not signed":           {"both.example", nil, "", false, "both.example"},
		"a signed alias":       {"alias.example", []string{"alias.example"}, "", true, "both.example"},
		"an alias, not signed": {"alias.example", nil, "", false, "both.example"},
		"one kind alone":       {"host.example", []string{"host.example"}, "", true, "host.example"},
		"upper case":           {"HOST.example", []string{"host.example"}, "", true, "host.example"},
		"the other kind fails": {"host.example", []string{"host.example"}, "AAAA", true, "host.example"},
		"this kind fails":      {"host.example", []string{"host.example"}, "A", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			z := new(dnstest.Zone)
			z.Add(zone)
			z.Secure(c.secure...)
			z.FailKind(c.fail, errors.New("SERVFAIL"))
			a, err := newResolver(z, func(r *dns.Config) { r.Validated = true }).Addresses(context.Background(), c.host)
			if c.target == "" {
				if !errors.Is(err, dns.ErrTemporary) || a.Secure {
					t.Errorf("%+v, %v", a, err)
				}
				return
			}
			if err != nil || a.Secure != c.want || a.Name != c.target {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
}

// TestAlias: an alias may be vouched for though what it leads to is not.
func TestAlias(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add(zone)
	z.Secure("alias.example", "host.example")
	z.Fail("dead.example", errors.New("SERVFAIL"))
	r := newResolver(z, func(c *dns.Config) { c.Validated = true })
	for name, want := range map[string]bool{"alias.example": true, "loop.example": false, "host.example": false, "nowhere.example": false} {
		if got, err := r.Alias(context.Background(), name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := r.Alias(context.Background(), "dead.example"); !errors.Is(err, dns.ErrTemporary) {
		t.Errorf("%v", err)
	}
	if list, secure, err := r.TLSAPort(context.Background(), "mx.example.org", 25); err != nil || len(list) != 1 || secure {
		t.Errorf("%v, %v, %v", list, secure, err)
	}
	if _, _, err := r.TLSAPort(context.Background(), "mx.example.org", 587); !errors.Is(err, dns.ErrNoName) {
		t.Errorf("another port: %v", err)
	}
}
