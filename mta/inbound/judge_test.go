package inbound_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// TestForbiddenIsNeverTaken draws facts and policies: what the policy forbids is in no mailbox but Junk, and what it refuses is
// refused or put off, whatever else is known.
func TestForbiddenIsNeverTaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, p := drawFacts(t), drawPolicy(t)
		v := inbound.Judge(f, p)
		if f.Client.Unchecked {
			if v.Action != inbound.Accept {
				t.Fatalf("a client that is not checked got %v", v.Action)
			}
			return
		}
		if refuses(f, p) && v.Action != inbound.Refuse && v.Action != inbound.Defer {
			t.Fatalf("%v, since %s", v.Action, v.Rule)
		}
		if junks(f, p) && v.Action == inbound.Accept {
			t.Fatalf("%v, since %s", v.Action, v.Rule)
		}
		if (v.Reply != nil) != (v.Action >= inbound.Defer) || v.Rule == "" {
			t.Fatalf("%v with reply %v and rule %q", v.Action, v.Reply, v.Rule)
		}
		if v.Reply != nil && v.Reply.Permanent() != (v.Action == inbound.Refuse) {
			t.Fatalf("%v with reply %v", v.Action, v.Reply)
		}
	})
}

// refuses says in words of its own whether a message must not be taken.
func refuses(f inbound.Facts, p inbound.Policy) bool {
	for _, x := range f.Filters {
		if x.Virus != "" && !p.VirusJunk || x.Failed != "" || x.Refuse != nil && !x.Spam {
			return true
		}
	}
	d, arc := f.Auth.DMARC, f.Auth.ARC
	forged := d.Result == "fail" && d.Asked == "reject" && p.DMARC == inbound.DMARCFollow &&
		!(arc.Trusted && arc.Result == "pass") && !(p.DMARCLists && f.MailingList != "")
	return forged || f.Late != "" || f.Author.Fields > 1 && p.FromBroken == "refuse" || p.DMARCError && d.Result == "temperror"
}

// junks says whether a message must not be taken but to Junk.
func junks(f inbound.Facts, p inbound.Policy) bool {
	d, arc := f.Auth.DMARC, f.Auth.ARC
	for _, x := range f.Filters {
		if x.Virus != "" {
			return true
		}
	}
	return f.Author.Fields > 1 || d.Result == "fail" && d.Asked != "none" && p.DMARC != inbound.DMARCTag && !(arc.Trusted && arc.Result == "pass")
}

var results = []string{"", "pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"}

func drawFacts(t *rapid.T) inbound.Facts {
	word := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	yes := func(name string) bool { return rapid.Bool().Draw(t, name) }
	f := inbound.Facts{
		Client:      inbound.Client{Address: netip.MustParseAddr(word("client", "192.0.2.1", "198.51.100.1")), Unchecked: rapid.IntRange(0, 9).Draw(t, "unchecked") == 0},
		Envelope:    mta.Envelope{From: word("mail", "", "bob@friends.example", "x@example.net")},
		Author:      inbound.Author{Fields: rapid.IntRange(0, 3).Draw(t, "froms"), Addresses: []string{word("from", "bob@friends.example", "alerts@bank.example")}},
		Late:        word("late", "", "", "", "dnsbl"),
		MailingList: word("list", "", "l.example.net"),
	}
	f.Auth.SPF = inbound.Result{Result: word("spf", results...), Domain: "example.net", Aligned: yes("aligned")}
	f.Auth.DKIM = []inbound.Result{{Result: word("dkim", results...), Domain: "friends.example", Aligned: yes("aligned signature")}}
	f.Auth.ARC = inbound.Chain{Result: word("arc", results...), Trusted: yes("trusted")}
	f.Auth.DMARC = inbound.DMARC{Result: word("dmarc", results...), Asked: word("asked", "none", "quarantine", "reject"), Domain: "bank.example"}
	for range rapid.IntRange(0, 2).Draw(t, "filters") {
		x := inbound.FilterResult{Name: "rspamd:x", Junk: yes("junk"), Virus: word("virus", "", "", "", "Eicar"), Failed: word("failed", "", "", "", "down"), Spam: yes("spam")}
		switch rapid.IntRange(0, 4).Draw(t, "refuse") {
		case 0:
			x.Refuse = mta.Replyf(550, mta.NotAuthorized, "no")
		case 1:
			x.Refuse = mta.Replyf(451, mta.TempNotNow, "later")
		}
		f.Filters = append(f.Filters, x)
	}
	f.Findings = []inbound.Finding{{Check: "dnsbl", Result: "listed", Score: rapid.Float64().Draw(t, "score")}}
	if yes("learned") {
		f.Learned = &inbound.Learned{Probability: 0.5, Score: rapid.Float64Range(-10, 10).Draw(t, "bayes")}
	}
	return f
}

func drawPolicy(t *rapid.T) inbound.Policy {
	p := inbound.Policy{
		DMARC:      rapid.SampledFrom([]inbound.DMARCMode{inbound.DMARCFollow, inbound.DMARCQuarantine, inbound.DMARCTag}).Draw(t, "mode"),
		DMARCLists: rapid.Bool().Draw(t, "lists"), DMARCError: rapid.Bool().Draw(t, "error"), VirusJunk: rapid.Bool().Draw(t, "virus junk"),
		FromBroken: rapid.SampledFrom([]string{"refuse", "junk"}).Draw(t, "broken"),
		JunkScore:  rapid.SampledFrom([]float64{0, 5}).Draw(t, "junk score"), RefuseScore: rapid.SampledFrom([]float64{0, 15}).Draw(t, "refuse score"),
		Postmaster: rapid.Bool().Draw(t, "postmaster"),
	}
	for _, text := range rapid.SliceOfN(rapid.SampledFrom([]string{"bob@friends.example", "bank.example", ".example.net", "192.0.2.0/24"}), 0, 3).Draw(t, "senders") {
		pattern, err := inbound.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		p.Senders = append(p.Senders, inbound.Sender{Pattern: pattern, Allow: rapid.Bool().Draw(t, "allow"), Junk: rapid.Bool().Draw(t, "to junk"), Of: "the cluster"})
	}
	return p
}

// TestCombine: one reply for several recipients.
func TestCombine(t *testing.T) {
	no, later := mta.Replyf(550, mta.NotAuthorized, "no"), mta.Replyf(451, mta.TempNotNow, "later")
	refuse := inbound.Verdict{Action: inbound.Refuse, Reply: no, Rule: "it is blocked"}
	for _, c := range []struct {
		name     string
		verdicts []inbound.Verdict
		reply    *mta.Reply
		actions  []inbound.Action
	}{
		{"nobody", nil, nil, nil},
		{"all take it", []inbound.Verdict{{}, {Action: inbound.Junk}}, nil, []inbound.Action{inbound.Accept, inbound.Junk}},
		{"all refuse", []inbound.Verdict{refuse, refuse}, no, []inbound.Action{inbound.Refuse, inbound.Refuse}},
		{"one refuses", []inbound.Verdict{{}, refuse}, nil, []inbound.Action{inbound.Accept, inbound.Junk}},
		{"one waits", []inbound.Verdict{{}, refuse, {Action: inbound.Defer, Reply: later}}, later, []inbound.Action{inbound.Accept, inbound.Refuse, inbound.Defer}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := inbound.Combine(c.verdicts); got != c.reply {
				t.Errorf("the reply is %v", got)
			}
			for i, v := range c.verdicts {
				if v.Action != c.actions[i] {
					t.Errorf("recipient %d: %v", i, v.Action)
				}
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	for text, want := range map[string]string{
		"Bob@Example.ORG": "Bob@example.org", "EXAMPLE.org": "example.org", ".Example.org": ".example.org", "192.0.2.9/24": "192.0.2.0/24",
		"::ffff:192.0.2.1": "192.0.2.1", "bücher.example": "xn--bcher-kva.example", "2001:db8::1": "2001:db8::1",
	} {
		p, err := inbound.ParsePattern(text)
		if err != nil || p.String() != want {
			t.Errorf("%q is %q, %v", text, p.String(), err)
			continue
		}
		if again, err := inbound.ParsePattern(p.String()); err != nil || again != p {
			t.Errorf("%q is read again as %v, %v", p, again, err)
		}
	}
	for _, text := range []string{"", "@", ".", "a@", "a b", "*", "192.0.2.0/33", "fe80::1%eth0"} {
		if p, err := inbound.ParsePattern(text); err == nil {
			t.Errorf("%q is taken as %q", text, p)
		}
	}
}

func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{"a@example.org", ".example.org", "192.0.2.0/24", "::1", `"a b"@example.org`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := inbound.ParsePattern(text)
		if err != nil {
			return
		}
		if again, err := inbound.ParsePattern(p.String()); err != nil || again != p {
			t.Errorf("%q is written %q and read again as %v, %v", text, p, again, err)
		}
	})
}
