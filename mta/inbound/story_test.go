package inbound_test

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
)

var update = flag.Bool("update", false, "rewrite what stories say")

// TestStories judges the cases of testdata. A case begins with "== " and its title; its lines say what is known, and behind
// "---" stands what is decided.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for i, part := range strings.Split(string(text), "== ") {
			if i == 0 {
				out.WriteString(part)
				continue
			}
			said, _, _ := strings.Cut(part, "---\n")
			fmt.Fprintf(&out, "== %s---\n%s\n", said, tell(t, said))
		}
		if *update {
			if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, want := strings.TrimSpace(out.String()), strings.TrimSpace(string(text)); got != want {
			t.Errorf("%s now reads\n%s", file, got)
		}
	}
}

// tell judges a case and says what is decided.
func tell(t *testing.T, said string) string {
	f, p := scene(t, said)
	v := inbound.Judge(f, p)
	var b strings.Builder
	fmt.Fprintf(&b, "%v, since %s\n", v.Action, v.Rule)
	if v.Reply != nil {
		fmt.Fprintf(&b, "reply %s\n", v.Reply.Error())
	}
	for _, x := range v.Findings {
		fmt.Fprintf(&b, "%+5.1f %s %s: %s\n", x.Score, x.Check, x.Result, x.Detail)
	}
	fmt.Fprintf(&b, "%+5.1f\n", v.Score)
	return b.String()
}

// scene reads the lines of a case.
func scene(t *testing.T, said string) (inbound.Facts, inbound.Policy) {
	f := inbound.Facts{Author: inbound.Author{Fields: 1}}
	p := inbound.Policy{DMARC: inbound.DMARCFollow, DMARCLists: true, FromBroken: "refuse", JunkScore: 5, RefuseScore: 15}
	for _, line := range strings.Split(said, "\n")[1:] {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		arg := func(i int) string {
			if i < len(words) {
				return words[i]
			}
			return ""
		}
		rest := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(line, words[0]), " "+arg(1)))
		switch words[0] {
		case "client":
			f.Client.Address, f.Client.Helo, f.Client.Unchecked = netip.MustParseAddr(arg(1)), arg(2), arg(3) == "unchecked"
		case "mail":
			f.Envelope.From = strings.Trim(arg(1), "<>")
		case "from":
			f.Author.Addresses = words[1:]
		case "froms":
			f.Author.Fields = int(number(t, arg(1)))
		case "spf":
			f.Auth.SPF = inbound.Result{Result: arg(1), Domain: arg(2), Aligned: arg(3) == "aligned"}
		case "dkim":
			f.Auth.DKIM = append(f.Auth.DKIM, inbound.Result{Result: arg(1), Domain: arg(2), Aligned: arg(3) == "aligned"})
		case "arc":
			f.Auth.ARC = inbound.Chain{Result: arg(1), Sealer: arg(2), Trusted: arg(3) == "trusted"}
		case "dmarc":
			f.Auth.DMARC = inbound.DMARC{Result: arg(1), Domain: arg(2), Asked: arg(3)}
		case "list-id":
			f.MailingList = arg(1)
		case "late":
			f.Late = strings.Join(words[1:], " ")
		case "found":
			f.Findings = append(f.Findings, inbound.Finding{Check: arg(1), Result: arg(2), Score: number(t, arg(3)), Detail: strings.Join(words[min(4, len(words)):], " ")})
		case "bayes":
			f.Learned = &inbound.Learned{Probability: number(t, arg(1)), Score: number(t, arg(2)), Detail: "1 of 2 words"}
		case "filter":
			f.Filters = append(f.Filters, filter(t, words))
		case "policy":
			set(t, &p, arg(1), arg(2))
		case "allow", "block", "junk":
			pattern, err := inbound.ParsePattern(arg(1))
			if err != nil {
				t.Fatal(err)
			}
			p.Senders = append(p.Senders, inbound.Sender{Pattern: pattern, Allow: words[0] == "allow", Junk: words[0] == "junk", Of: strings.Join(words[2:], " ")})
		default:
			t.Fatalf("a case has the line %q (%s)", line, rest)
		}
	}
	return f, p
}

func filter(t *testing.T, words []string) inbound.FilterResult {
	r := inbound.FilterResult{Name: words[1], Findings: []inbound.Finding{{Check: words[1], Result: words[2]}}}
	switch words[2] {
	case "virus":
		r.Virus = words[3]
	case "junk":
		r.Junk = true
	case "refuse", "spam":
		r.Refuse, r.Spam = mta.Replyf(550, mta.NotAuthorized, "%s", strings.Join(words[3:], " ")), words[2] == "spam"
	case "defer":
		r.Refuse = mta.Replyf(451, mta.TempNotNow, "%s", strings.Join(words[3:], " "))
	case "failed":
		r.Failed = strings.Join(words[3:], " ")
	case "score":
		r.Findings[0].Score = number(t, words[3])
	}
	return r
}

func set(t *testing.T, p *inbound.Policy, name, value string) {
	switch name {
	case "dmarc":
		*p = p.With(inbound.Layer{Of: "domain example.org", DMARC: inbound.DMARCMode(value)})
	case "junk":
		score := number(t, value)
		*p = p.With(inbound.Layer{Of: "domain example.org", JunkScore: &score})
	case "refuse":
		score := number(t, value)
		*p = p.With(inbound.Layer{Of: "domain example.org", RefuseScore: &score})
	case "from":
		p.FromBroken = value
	case "virus":
		p.VirusJunk = value == "junk"
	case "dmarc-lists":
		p.DMARCLists = value == "junk"
	case "dmarc-error":
		p.DMARCError = value == "defer"
	case "postmaster":
		p.Postmaster = true
	default:
		t.Fatalf("policy %q", name)
	}
}

func number(t *testing.T, s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
