package arc_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/arc"
	"github.com/rookery-mail/rookery/mta/dkim"
)

// TestVouched: a sealer's word counts as long as all behind it are trusted, in a chain that passes.
func TestVouched(t *testing.T) {
	w := newWorld(t, dkim.Ed25519)
	text := message
	for host := range w.keys {
		text = w.seal(t, text, host)
	}
	c, m := w.validate(t, text)
	links := c.Links()
	if len(links) != 3 || links[0] != (arc.Link{Sealer: "a.example", Results: "mx.a.example;\r\n\tarc=none;\r\n\tdkim=pass header.d=example.net"}) {
		t.Errorf("%q", links)
	}
	none, first := func(string) bool { return false }, func(r string) bool { return strings.HasPrefix(r, "mx.a.example;") }
	any := func(string) bool { return true }
	for _, one := range []struct {
		name    string
		trusted []string
		good    func(string) bool
		want    string
	}{
		{"the newest", []string{"c.example"}, any, "c.example"},
		{"the oldest, through all", []string{"a.example", "b.example", "c.example"}, first, "a.example"},
		{"the oldest, behind one that is not trusted", []string{"a.example", "c.example"}, first, ""},
		{"the newest is not trusted", []string{"a.example", "b.example"}, any, ""},
		{"nothing good is said", []string{"a.example", "b.example", "c.example"}, none, ""},
	} {
		got, ok := c.Vouched(func(s string) bool { return slices.Contains(one.trusted, s) }, one.good)
		if got != one.want || ok != (one.want != "") {
			t.Errorf("%s: %q", one.name, got)
		}
	}
	broken, _ := w.validate(t, strings.Replace(text, "Hello  there", "Hello, there", 1))
	if got, ok := broken.Vouched(any, any); ok || broken.Status != arc.Fail {
		t.Errorf("a chain that fails: %q", got)
	}
	if got := arc.Hosts(m.Header); !slices.Equal(got, []string{"arc._domainkey.c.example", "arc._domainkey.b.example", "arc._domainkey.a.example"}) {
		t.Errorf("%q", got)
	}
	if got := arc.Needs(m.Header); !slices.Equal(got, []dkim.Need{{Form: dkim.Relaxed, Length: dkim.All}}) {
		t.Errorf("%v", got)
	}
}
