package policy

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
)

var update = flag.Bool("update", false, "rewrite the cases")

// TestCases holds testdata/cases.txt: a line that says what is known, and what follows from it in each mode, indented.
func TestCases(t *testing.T) {
	const file = "testdata/cases.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, " ") {
			continue
		}
		out.WriteString(line)
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			play(t, &out, words)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if out.String() != string(text) {
		t.Errorf("the cases are now\n%s", out.String())
	}
}

// play writes what follows from one line.
func play(t *testing.T, out *strings.Builder, words []string) {
	args := map[string]string{}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		args[name] = value
	}
	state := map[string]Knowledge{"": Known, "missing": Missing, "unclear": Unclear}[args["dns"]]
	addrs := func(text string) (list []netip.Addr) {
		for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
			list = append(list, netip.MustParseAddr(w))
		}
		return list
	}
	var remote netip.Addr
	if list := addrs(args["from"]); len(list) > 0 {
		remote = list[0]
	}
	was := ""
	for _, m := range []Mode{Off, Score, Refuse} {
		var f inbound.Finding
		var r *mta.Reply
		switch words[0] {
		case "address":
			f, r = JudgeReverse(remote, Reverse{State: state, Names: strings.FieldsFunc(args["names"], func(r rune) bool { return r == ',' }), Confirmed: args["confirmed"]}, m)
		case "hello":
			f, r = JudgeHello(Hello{Name: args["name"], Remote: remote, Ours: strings.Contains(strings.ToLower(args["name"]), "example.org"), Local: netip.MustParseAddr("203.0.113.25"),
				State: state, Leads: addrs(args["leads"])}, m)
		case "sender":
			f, r = JudgeSender(Sender{Domain: DomainOf(args["path"]), State: state, Null: args["null"] == "yes"}, m)
		case "early":
			f, r = JudgeEarly("spoke before the greeting", m)
		default:
			t.Fatalf("%q", words)
		}
		now := fmt.Sprintf("%s %s %+.1f %s", f.Check, f.Result, f.Score, f.Detail)
		if f == (inbound.Finding{}) {
			now = "nothing"
		}
		if r != nil {
			now += "; " + r.Error()
		}
		if now != was {
			fmt.Fprintf(out, "  %s: %s\n", m, now)
		}
		was = now
	}
}

func TestDynamic(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.117"), netip.MustParseAddr("2001:db8:1::a:b:c:d")
	for name, want := range map[string]bool{
		"192-0-2-117.provider.example":           true,
		"host117-2-0-192.provider.example":       true,
		"ip117.2.0.192.provider.example":         true,
		"c0000275.provider.example":              true,
		"192000002117.provider.example":          true,
		"p-0-2-117.provider.example":             true,
		"dyn-7.provider.example":                 true,
		"a.pool.provider.example":                true,
		"ppp12.provider.example":                 true,
		"static-192-0-2-117.provider.example":    false,
		"mail-192-0-2-117.provider.example":      false,
		"mx.example.org":                         false,
		"dynamic.example":                        false,
		"lists.university.example":               false,
		"host.poolside.example":                  false,
		"a27-117.smtp-out.provider.example":      false,
		"o192-0-2-117.outbound.provider.example": false,
		"mail-ej1-f117.provider.example":         false,
		"mout1.provider.example":                 false,
		"198-51-100-1.provider.example":          false,
	} {
		if got := Dynamic(name, v4); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, want := range map[string]bool{"2001-db8-1-0-a-b-c-d.provider.example": true, "x000a000b000c000d.ip6.provider.example": true, "mx6.example.org": false, "host6.example.org": false} {
		if got := Dynamic(name, v6); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzJudgeHello(f *testing.F) {
	for _, seed := range []string{"mx.example.com", "[192.0.2.1]", "[IPv6:2001:db8::1]", "localhost", "a\r\nb", "[", "::1%eth0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, r := JudgeHello(Hello{Name: name, Remote: netip.MustParseAddr("192.0.2.1"), Local: netip.MustParseAddr("192.0.2.2")}, Refuse)
		if strings.ContainsAny(got.Detail, "\r\n\x00") || r != nil && (!r.Permanent() || strings.ContainsAny(r.Text, "\r\n\x00")) {
			t.Fatalf("%+v %v", got, r)
		}
		Dynamic(name, netip.MustParseAddr("192.0.2.1"))
		DomainOf(name)
	})
}
