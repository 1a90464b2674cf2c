package dmarc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/dmarc"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

func lookup(z *dnstest.Zone) dmarc.Lookup {
	return dns.Lists{Resolver: dns.New(dns.Config{Servers: []string{"zone"}, Rounds: 1, Exchange: z.Exchange})}
}

// TestCases runs the files of testdata: records of a zone, "timeout NAME", and cases with "=>" between what is known and what comes
// of it.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runCases(t, file, string(text))
		})
	}
}

func runCases(t *testing.T, file, text string) {
	z := new(dnstest.Zone)
	var cases []string
	for i, l := range strings.Split(text, "\n") {
		switch name, timeout := strings.CutPrefix(l, "timeout "); {
		case strings.HasPrefix(l, "#") || strings.TrimSpace(l) == "":
		case timeout:
			z.Fail(name, errors.New("no answer"))
		case strings.Contains(l, "=>"):
			cases = append(cases, fmt.Sprintf("%s:%d:", file, i+1)+l)
		default:
			z.Add(l)
		}
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		place, rest, _ := strings.Cut(c, ".txt:")
		line, rest, _ := strings.Cut(rest, ":")
		place += ".txt:" + line
		ask, want, _ := strings.Cut(rest, "=>")
		var q dmarc.Query
		for _, w := range words(t, "from "+ask) {
			key, v := w[0], w[1]
			switch key {
			case "from":
				if v != "-" {
					q.From = append(q.From, v)
				}
			case "spf":
				q.SPF = identifier(v)
			case "dkim":
				q.DKIM = append(q.DKIM, identifier(v))
			case "draw":
				q.Draw, _ = strconv.Atoi(v)
			default:
				t.Fatalf("%s: what is %q?", place, key)
			}
		}
		before := z.Asked()
		o := dmarc.Evaluate(context.Background(), q, lookup(z))
		for _, w := range words(t, "result "+want) {
			key, v := w[0], w[1]
			got := map[string]string{"result": string(o.Result), "policy": string(o.Policy), "asked": string(o.Asked), "at": o.PolicyDomain, "org": o.Organisation,
				"of": o.From, "forged": strconv.FormatBool(o.Forged), "testing": strconv.FormatBool(o.Testing), "spf": strconv.FormatBool(o.SPFAligned),
				"dkim": strconv.Itoa(len(o.DKIMAligned)), "questions": strconv.Itoa(z.Asked() - before), "reason": o.Reason}
			have, known := got[key]
			if !known {
				t.Fatalf("%s: what is %q?", place, key)
			}
			if have != v && !(key == "reason" && strings.Contains(have, v)) {
				t.Errorf("%s: %s %q, not %q: %+v", place, key, have, v, o)
			}
		}
	}
}

func identifier(text string) dmarc.Identifier {
	result, domain, _ := strings.Cut(text, ":")
	return dmarc.Identifier{Domain: domain, Result: result}
}

// words reads pairs of a key and a value; a value may be in double quotes.
func words(t *testing.T, text string) (out [][2]string) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		key, rest, _ := strings.Cut(text, " ")
		rest = strings.TrimSpace(rest)
		value, after, _ := strings.Cut(rest, " ")
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			value, _ = strconv.Unquote(quoted)
			after = rest[len(quoted):]
		}
		out, text = append(out, [2]string{key, value}), after
	}
	return out
}

func TestRecord(t *testing.T) {
	for text, want := range map[string]string{
		"v=DMARC1; p=none":                                     "none none none",
		"v=DMARC1;p=reject":                                    "reject reject reject",
		"V = DMARC1 ; P = Quarantine ; SP=NONE":                "quarantine none none",
		"v=DMARC1; p=none; sp=quarantine; np=reject;":          "none quarantine reject",
		"v=DMARC1; np=reject; p=none;;; sp=quarantine":         "none quarantine reject",
		"v=DMARC1; p=reject; np=none":                          "reject reject none",
		"v=DMARC1; p=reject; p=none":                           "reject reject reject",
		"v=DMARC1; p=reject; unknown=x; 1x=y; x; =; adkim=S":   "reject reject reject strict dkim",
		"v=DMARC1; p=reject; aspf=s; adkim=r":                  "reject reject reject strict spf",
		"v=DMARC1; p=reject; aspf=x; t=maybe; psd=z":           "reject reject reject",
		"v=DMARC1; p=reject; t=y; psd=n; fo=1:D":               "reject reject reject testing psd=n fo=1:d",
		"v=DMARC1; p=reject; pct=25; psd=y":                    "reject reject reject pct=25 psd=y",
		"v=DMARC1; p=reject; pct=25; t=n":                      "reject reject reject",
		"v=DMARC1; p=reject; pct=101":                          "reject reject reject",
		"v=DMARC1; p=rejekt":                                   "none none none not usable",
		"v=DMARC1; p=reject; sp=all":                           "none none none not usable",
		"v=DMARC1; p=reject; np=all; rua=mailto:a@example.org": "none none none monitoring rua=a@example.org",
		"v=DMARC1; p=reject\x80":                               "none none none not usable",
		"v=DMARC1":                                             "none none none not usable",
		"v=DMARC1; rua=mailto:a@example.org":                   "none none none monitoring rua=a@example.org",
		"v=DMARC1; rua=https://example.org/x":                  "none none none monitoring",
		"v=DMARC1; rua=nobody":                                 "none none none not usable",
		"v=DMARC1; p=none; rua=mailto:a@B.example , MAILTO:b%2Bc@d.example!10m,https://x.example/":                        "none none none rua=a@b.example rua=b+c@d.example!10485760",
		"v=DMARC1; p=none; rua=mailto:a@b.example?subject=x, mailto:a@b.example, mailto:@b, mailto:a@, mailto:<a@b>, a@b": "none none none rua=a@b.example",
		"v=DMARC1; p=none; rua=mailto:a%0d%0aRCPT%20TO:x@b.example, mailto:a@b.example!3k":                                "none none none rua=a@b.example!3072",
		"v=DMARC1; p=none; rua=mailto:a@b.example!99999999999999t; ruf=mailto:f@b.example":                                "none none none rua=a@b.example!9223372036854775807 ruf=f@b.example",
		"v=DMARC1 p=none":   "error",
		"p=none; v=DMARC1":  "error",
		"v=dmarc1; p=none":  "error",
		"v=DMARC2; p=none":  "error",
		"v=DMARC10; p=none": "error",
		"":                  "error",
		"v=spf1 -all":       "error",
	} {
		r, err := dmarc.ParseRecord(text)
		if got := describe(r, err); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
	list := "v=DMARC1; p=none; rua="
	for i := range 1000 {
		list += fmt.Sprintf("mailto:a%d@b.example,", i)
	}
	if r, err := dmarc.ParseRecord(list); err != nil || len(r.Aggregate) != 10 {
		t.Errorf("%d addresses, %v", len(r.Aggregate), err)
	}
}

func describe(r dmarc.Record, err error) string {
	if err != nil {
		if !errors.Is(err, dmarc.ErrRecord) {
			return err.Error()
		}
		return "error"
	}
	s := fmt.Sprint(r.Policy, " ", r.Subdomains, " ", r.Missing)
	add := func(ok bool, text string) {
		if ok {
			s += " " + text
		}
	}
	add(r.StrictDKIM, "strict dkim")
	add(r.StrictSPF, "strict spf")
	add(r.Testing, "testing")
	add(r.Percent != 100, fmt.Sprintf("pct=%d", r.Percent))
	add(r.Suffix != "u", "psd="+r.Suffix)
	add(r.FailureWhen != "0", "fo="+r.FailureWhen)
	add(r.NotUsable, "not usable")
	add(r.AsMonitoring, "monitoring")
	for _, a := range r.Aggregate {
		s += address(" rua=", a)
	}
	for _, a := range r.Failure {
		s += address(" ruf=", a)
	}
	return s
}

func address(key string, a dmarc.Address) string {
	if a.Most > 0 {
		return fmt.Sprintf("%s%s!%d", key, a.Mailbox, a.Most)
	}
	return key + a.Mailbox
}

func TestAuthors(t *testing.T) {
	for value, want := range map[string]string{
		"ann@example.org":                                         "example.org",
		"Ann <ann@Example.ORG>":                                   "example.org",
		" =?utf-8?Q?Ann?=\r\n <ann@example.org>":                  "example.org",
		`"ann@bank.example" <ann@example.org>`:                    "example.org",
		"ann@bank.example <ann@example.org>":                      "example.org bank.example",
		"ann@example.org <ann@example.org>":                       "example.org",
		"=?utf-8?Q?ann@bank.example?= <ann@example.org>":          "example.org",
		"Smith, Ann <ann@example.org>":                            "example.org",
		"Ann Smith. <ann@example.org>":                            "example.org",
		"ann@example.org (a comment, with (another) b@c.example)": "example.org",
		"(x) ann (y) @ (z) example (w) . org":                     "example.org",
		`"a b@c"@example.org`:                                     "example.org",
		"ann@example.org, ben@example.org":                        "example.org",
		"ann@example.org, ben@example.net":                        "example.org example.net",
		"ann@example.org, , ben@example.net,":                     "example.org example.net",
		"Team: ann@example.org, Ben <ben@example.net>;":           "example.org example.net",
		"ann@bank.example: ben@example.net;":                      "bank.example example.net",
		"Ann <@a.example,@b.example:ann@example.org>":             "example.org",
		"ann@bücher.example":                                      "xn--bcher-kva.example",
		"ann@my_host.example.org":                                 "my_host.example.org",
		"ann@example.org.":                                        "example.org",
		"Team:;":                                                  "error",
		"Ann":                                                     "error",
		"":                                                        "error",
		"<>":                                                      "error",
		"<ann>":                                                   "error",
		"ann@[192.0.2.1]":                                         "error",
		"ann@localhost@example.org":                               "error localhost example.org",
		"ann@example.org ben@example.net":                         "error example.org example.net",
		"<ann@example.org> <ben@example.net>":                     "error example.org example.net",
		"<ann@example.org":                                        "error example.org",
		"Ann <ann@example.org> ben@example.net":                   "error example.org example.net",
		"@example.org":                                            "error example.org",
		"ann@exa mple.org":                                        "error exa",
		"ann@example..org":                                        "error",
		"ann(@example.org":                                        "error example.org",
		"\"ann@example.org":                                       "error example.org",
		"ann@example.org\x00@example.net":                         "error example.org example.net",
		"A: b: ann@example.org;;":                                 "error example.org",
		strings.Repeat("(", 60000):                                "error",
		strings.Repeat("a", 70000) + "@example.org":               "error",
	} {
		domains, err := dmarc.Authors([]string{value})
		got := strings.Join(domains, " ")
		if err != nil {
			got = strings.TrimSpace("error " + got)
		}
		if got != want {
			t.Errorf("%.100q: %s, want %s (%v)", value, got, want, err)
		}
	}
	for _, values := range [][]string{nil, {"ann@example.org", "ann@example.org"}} {
		if domains, err := dmarc.Authors(values); err == nil || len(domains) != len(values)/2 {
			t.Errorf("%q: %q, %v", values, domains, err)
		}
	}
}

// TestDestinations: who takes reports about a domain says so, unless it is of the same organisation.
func TestDestinations(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add(`_dmarc.example.org. TXT "v=DMARC1; p=none"
_dmarc.own.example.org. TXT "v=DMARC1; p=none; psd=n"
example.org._report._dmarc.third.example. TXT "v=DMARC1"
example.org._report._dmarc.all.example. TXT "v=DMARC1;"
example.org._report._dmarc.moved.example. TXT "v=DMARC1; rua=mailto:new@moved.example"
example.org._report._dmarc.thief.example. TXT "v=DMARC1; rua=mailto:you@elsewhere.example"
example.org._report._dmarc.odd.example. TXT "yes, please"`)
	z.Fail("example.org._report._dmarc.slow.example", errors.New("no answer"))
	record, err := dmarc.ParseRecord("v=DMARC1; p=none; rua=mailto:a@example.org,mailto:b@sub.example.org,mailto:c@own.example.org,mailto:d@third.example,mailto:e@all.example," +
		"mailto:f@moved.example,mailto:g@thief.example,mailto:h@odd.example,mailto:i@nobody.example,mailto:j@notexample.org")
	if err != nil {
		t.Fatal(err)
	}
	got, err := dmarc.Destinations(context.Background(), "example.org", record.Aggregate, lookup(z))
	var names []string
	for _, a := range got {
		names = append(names, a.Mailbox)
	}
	if want := []string{"a@example.org", "b@sub.example.org", "d@third.example", "e@all.example", "new@moved.example", "g@thief.example"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v\nwant %q", names, err, want)
	}
	got, err = dmarc.Destinations(context.Background(), "example.org", []dmarc.Address{{Mailbox: "x@slow.example"}, {Mailbox: "a@example.org"}}, lookup(z))
	if err == nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// silent gives no answer, but for one name.
type silent struct {
	name, text string
	asked      int
}

func (s *silent) Texts(_ context.Context, name string) ([]string, error) {
	s.asked++
	if name == s.name {
		return []string{s.text}, nil
	}
	return nil, errors.New("no answer")
}

func (s *silent) Exists(context.Context, string) (bool, error) {
	s.asked++
	return false, errors.New("no answer")
}

// TestSilence: DNS that gives no answer is no failure of the message, and is soon given up; an author's domain that signs by itself needs
// nothing but its own record.
func TestSilence(t *testing.T) {
	pass := dmarc.Identifier{Domain: "a.example.org", Result: "pass"}
	below := dmarc.Identifier{Domain: "b.a.example.org", Result: "pass"}
	for _, c := range []struct {
		name, text string
		id         dmarc.Identifier
		want       dmarc.Result
		asked      int
	}{
		{"", "", pass, dmarc.TempError, 1},
		{"_dmarc.a.example.org", "v=DMARC1; p=reject", pass, dmarc.Pass, 2},
		{"_dmarc.a.example.org", "v=DMARC1; p=reject", below, dmarc.TempError, 2},
		{"_dmarc.a.example.org", "v=DMARC1; p=reject; aspf=s; adkim=s", below, dmarc.Fail, 2},
		{"_dmarc.a.example.org", "v=DMARC1; p=reject; psd=n", below, dmarc.TempError, 2},
	} {
		s := &silent{name: c.name, text: c.text}
		o := dmarc.Evaluate(context.Background(), dmarc.Query{From: []string{"x@a.example.org"}, SPF: c.id}, s)
		if o.Result != c.want || s.asked != c.asked {
			t.Errorf("%+v: %+v after %d questions", c, o, s.asked)
		}
	}
	s := &silent{}
	var list []string
	for i := range 500 {
		list = append(list, fmt.Sprintf("x@a%d.example", i))
	}
	if o := dmarc.Evaluate(context.Background(), dmarc.Query{From: []string{strings.Join(list, ",")}}, s); o.Result != dmarc.TempError || !o.Forged || s.asked != 6 {
		t.Errorf("%+v after %d questions", o, s.asked)
	}
}
