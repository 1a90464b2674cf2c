package spf

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// FuzzRecord: what is read as a record has no term that is not read again, and no octet that is not ASCII.
func FuzzRecord(f *testing.F) {
	for _, s := range []string{
		"v=spf1", "v=spf1 a mx/24//64 ptr:%{d} -all", "v=spf1 include:_spf.%{d2} ip4:192.0.2.0/24 ip6:2001:db8::/32 ~all", "v=spf1 redirect=%{o} exp=x.%{i}",
		"v=spf1 exists:%{l1r+-}.%{ir}.%{v}.x.example ?all moo=%%%_%-", "v=spf1 a:", "v=spf1 a:%{", "v=spf1 ip4:1.2.3.4/33", "v=spf1 \x80",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parse(text)
		if err != nil {
			if !errors.Is(err, errSyntax) {
				t.Fatalf("%v", err)
			}
			return
		}
		for i := range len(text) {
			if text[i] < ' ' || text[i] > '~' {
				t.Fatalf("%q is a record", text)
			}
		}
		for _, d := range r.directives {
			if again, err := parseDirective(d.text); len(d.text) < maxTerm && (err != nil || again.kind != d.kind || again.result != d.result) {
				t.Fatalf("%q: %v", d.text, err)
			}
			if d.bits4 > 32 || d.bits6 > 128 || d.kind != mechIP4 && d.kind != mechIP6 && d.net.IsValid() {
				t.Fatalf("%q: %+v", d.text, d)
			}
		}
	})
}

// FuzzMacros: an expansion stays within its bounds and never fails on what was read.
func FuzzMacros(f *testing.F) {
	f.Add("%{s}%{l2r-}%{O}%{d1}%{ir}%{p}%{v}%{h}%{c}%{r}%{t}%%%_%-", "ann", "a.example", "192.0.2.1")
	f.Add("%{l.-+,/_=}", "a-b+c", "é", "2001:db8::1")
	f.Add(strings.Repeat("%{S}", 300), strings.Repeat("&", 64), "x", "192.0.2.1")
	f.Fuzz(func(t *testing.T, text, local, helo, client string) {
		ip, err := netip.ParseAddr(client)
		if err != nil {
			return
		}
		c := &check{q: Query{Client: ip.Unmap(), Helo: helo}, r: hostile{text: text}, local: local, sender: "d.example", known: map[string]bool{}}
		m, err := parseMacros(text, false)
		if err == nil {
			name, err := c.target(context.Background(), "d.example", m)
			if err != nil && !errors.Is(err, errForeign) {
				t.Fatal(err)
			}
			if len(name) > 253 && isName(name) || len(name) > 2*mostExpanded+len(text) {
				t.Fatalf("a name of %d octets", len(name))
			}
		}
		if got := c.explain(context.Background(), decision{path: []string{"d.example"}, exp: macros{{literal: "x.example"}}}); len(got) > maxExplanation || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q", got)
		}
	})
}

// hostile answers every question with what it has, and counts them.
type hostile struct {
	text  string
	names []string
	asked *int
	fail  byte // which kinds of questions get no answer
}

var errSilence = errors.New("no answer")

func (h hostile) ask(kind int) error {
	if h.asked != nil {
		*h.asked++
	}
	if h.fail>>kind&1 != 0 {
		return errSilence
	}
	return nil
}

func (h hostile) Texts(context.Context, string) ([]string, error) {
	return strings.Split(h.text, "\n"), h.ask(0)
}

func (h hostile) A(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, 2})}, h.ask(1)
}

func (h hostile) AAAA(context.Context, string) ([]netip.Addr, error) { return nil, h.ask(2) }

func (h hostile) Exchangers(context.Context, string) ([]string, error) { return h.names, h.ask(3) }

func (h hostile) Names(context.Context, netip.Addr) ([]string, error) { return h.names, h.ask(4) }

// FuzzCheck: whatever zones say, a check comes to a result after a bounded number of questions.
func FuzzCheck(f *testing.F) {
	f.Add("v=spf1 mx a ptr exists:%{p}.example include:a.example redirect=b.example exp=c.example", "a.example\nb.example", "a@b.example", "h.example", byte(0))
	f.Add("v=spf1 -mx:a.example -all exp=%{h}.example\nnot one", strings.Repeat("a.example\n", 20), "", "h.example", byte(2))
	f.Add("v=spf1 ptr:%{l} ?exists:%{s}\nv=spf1", "", "@", "[192.0.2.1]", byte(0x15))
	f.Fuzz(func(t *testing.T, text, names, from, helo string, fail byte) {
		asked := 0
		r := hostile{text, strings.Split(names, "\n"), &asked, fail}
		for _, client := range []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.IPv6LinkLocalAllNodes(), {}} {
			asked = 0
			o := Check(context.Background(), Query{Client: client, Helo: helo, From: from}, r)
			// Eleven texts and an explanation; ten terms of a list and ten hosts each; the client's names, once each.
			if asked > 12+MaxLookups*(1+MaxHosts)+1+MaxHosts {
				t.Fatalf("%d questions", asked)
			}
			switch o.Result {
			case None, Neutral, Pass, Fail, SoftFail, TempError, PermError:
			default:
				t.Fatalf("%v", o)
			}
			if (o.Problem != "") != (o.Result == None || o.Result == TempError || o.Result == PermError) || len(o.String()) > 8000+len(from)+len(helo) {
				t.Fatalf("%v", o)
			}
		}
	})
}
