package dmarc

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// FuzzRecord: a record that is read has policies that there are, and addresses that can be written to.
func FuzzRecord(f *testing.F) {
	for _, s := range []string{"v=DMARC1; p=reject; sp=none; np=quarantine; rua=mailto:a@b.example!10m,https://x", "v=DMARC1;p=none;t=y;psd=n;pct=3;fo=0:d:s;adkim=s;aspf=r", "v = DMARC1;", "v=DMARC1; rua=mailto:%40@x,mailto:a%0d@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRecord(text)
		if err != nil {
			if !errors.Is(err, ErrRecord) {
				t.Fatal(err)
			}
			return
		}
		for _, p := range []Policy{r.Policy, r.Subdomains, r.Missing} {
			if p != NoPolicy && p != Quarantine && p != Reject {
				t.Fatalf("policy %q", p)
			}
		}
		if r.Percent < 0 || r.Percent > 100 || len(r.Aggregate) > maxAddresses || len(r.Failure) > maxAddresses || r.NotUsable && r.AsMonitoring {
			t.Fatalf("%+v", r)
		}
		for _, a := range append(r.Aggregate, r.Failure...) {
			if a.Most < 0 || strings.ContainsAny(a.Mailbox, " \r\n<>,") || strings.Count(a.Mailbox, "@") != 1 || a.Domain() == "" {
				t.Fatalf("%+v", a)
			}
		}
	})
}

// FuzzAuthors: domains are names, whatever the field is; and what is one address without a name is found as it stands.
func FuzzAuthors(f *testing.F) {
	for _, s := range []string{"Ann <ann@example.org>", `"a@b" <c@d.example> (x), y: z@w.example;`, "<@a,@b:c@d.example>", "a@[192.0.2.1]", "=?utf-8?Q?a@b?= <c@d.example>", "a@b@c", "(((", "\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		domains, err := Authors([]string{value})
		if err != nil && !errors.Is(err, errAuthor) || err == nil && len(domains) == 0 {
			t.Fatalf("%q, %v", domains, err)
		}
		for i, d := range domains {
			if d == "" || d != strings.ToLower(d) || strings.ContainsAny(d, "@<> \r\n\"") || len(d) > 253 {
				t.Fatalf("domain %q", d)
			}
			for _, other := range domains[:i] {
				if other == d {
					t.Fatalf("%q twice", d)
				}
			}
		}
		if err == nil && len(domains) == 1 {
			again, err := Authors([]string{"x@" + domains[0]})
			if err != nil || len(again) != 1 || again[0] != domains[0] {
				t.Fatalf("%q is read as %q, %v", domains[0], again, err)
			}
		}
	})
}

// lie answers every question alike.
type lie struct {
	texts []string
	every int // so many questions have an answer, the next has none
	asked int
}

func (l *lie) Texts(context.Context, string) ([]string, error) {
	if l.asked++; l.every > 0 && l.asked%l.every == 0 {
		return nil, errors.New("no answer")
	}
	return l.texts, nil
}

func (l *lie) Exists(context.Context, string) (bool, error) {
	l.asked++
	return l.asked%2 == 0, nil
}

// FuzzEvaluate: whatever zones say, a bounded number of names is asked about, and nothing passes that no mechanism let pass.
func FuzzEvaluate(f *testing.F) {
	f.Add("ann@a.b.c.example", "c.example", "pass", "v=DMARC1; p=reject; sp=none; np=quarantine", 0)
	f.Add("a@b.example, c@d.example", "b.example", "temperror", "v=DMARC1; psd=y; p=reject\nx", 3)
	f.Add("a@"+strings.Repeat("x.", 100)+"example", "example", "pass", "v=DMARC1; p=none; psd=n", 7)
	f.Fuzz(func(t *testing.T, from, domain, result, texts string, every int) {
		l := &lie{texts: strings.Split(texts, "\n"), every: every % 100}
		id := Identifier{Domain: domain, Result: result}
		o := Evaluate(context.Background(), Query{From: []string{from}, SPF: id, DKIM: []Identifier{id, {Domain: "x." + domain, Result: result}}}, l)
		if l.asked > maxDomains*(maxLabels+1)+3*maxLabels*maxDomains {
			t.Fatalf("%d questions", l.asked)
		}
		if o.Result == Pass && (result != "pass" || !o.SPFAligned && len(o.DKIMAligned) == 0) || o.Result == Pass && !within(domain, o.Organisation) && !within(strings.ToLower(strings.TrimSuffix(domain, ".")), o.Organisation) {
			t.Fatalf("%+v", o)
		}
		if o.Policy != NoPolicy && o.PolicyDomain == "" || stricter(o.Policy, o.Asked) != o.Asked {
			t.Fatalf("%+v", o)
		}
	})
}
