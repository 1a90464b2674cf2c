package inbound

import (
	"cmp"
	"fmt"
	"strings"
)

// findings are what authentication found, with what it weighs.
func (a Authentication) findings() []Finding {
	var out []Finding
	say := func(check, result string, score float64, detail string) {
		if result != "" {
			out = append(out, Finding{check, result, score, detail})
		}
	}
	say(CheckIPRev, a.IPRev.Result, 0, cmp.Or(a.IPRev.Detail, a.IPRev.Domain))
	say(CheckSPF, a.SPF.Result, a.spfScore(), cmp.Or(a.SPF.Detail, a.SPF.Domain))
	say(CheckHelo, a.Helo.Result, 0, cmp.Or(a.Helo.Detail, a.Helo.Domain))
	for _, s := range a.DKIM {
		say(CheckDKIM, s.Result, 0, strings.TrimSpace(s.Domain+" "+s.Detail))
	}
	say(CheckARC, a.ARC.Result, 0, strings.TrimSpace(a.ARC.Sealer+" "+a.ARC.Detail))
	say(CheckDMARC, a.DMARC.Result, a.dmarcScore(), a.dmarcDetail())
	return out
}

// spfScore is what SPF weighs. Where the author is authenticated, the envelope's sender does not matter: a forward breaks SPF and
// nothing else.
func (a Authentication) spfScore() float64 {
	if a.DMARC.Result == "pass" || a.ARC.Result == "pass" && a.ARC.Trusted {
		return 0
	}
	switch a.SPF.Result {
	case "fail":
		return scoreSPFFail
	case "softfail":
		return scoreSPFSoftFail
	case "permerror":
		return scoreSPFError
	}
	return 0
}

func (a Authentication) dmarcScore() float64 {
	switch {
	case a.DMARC.Result == "pass":
		return scoreDMARCPass
	case a.DMARC.Result == "fail" && !(a.ARC.Result == "pass" && a.ARC.Trusted):
		return scoreDMARCFail
	}
	return 0
}

func (a Authentication) dmarcDetail() string {
	d := a.DMARC
	text := d.Domain
	if d.Result == "fail" {
		text = strings.TrimSpace(fmt.Sprintf("%s asks for %s", d.Domain, cmp.Or(d.Asked, "none")))
	}
	return strings.TrimSpace(text + " " + d.Detail)
}

// findings are what is odd about the From field.
func (a Author) findings() []Finding {
	domains := a.Domains()
	switch {
	case a.Fields > 1:
		return []Finding{{CheckFrom, "several", 0, fmt.Sprintf("%d From fields", a.Fields)}}
	case a.Fields == 0:
		return []Finding{{CheckFrom, "none", scoreNoFrom, "no From field"}}
	case len(domains) == 0:
		return []Finding{{CheckFrom, "none", scoreNoFrom, "no address in the From field"}}
	case len(domains) > 1:
		return []Finding{{CheckFrom, "several", scoreManyFrom, "addresses of " + strings.Join(domains[:min(len(domains), 5)], ", ")}}
	}
	return nil
}

// opinion is a word for how likely spam is.
func opinion(p float64) string {
	switch {
	case p >= 0.9:
		return "spam"
	case p <= 0.1:
		return "ham"
	}
	return "unsure"
}

// EnvelopeSPF is what SPF of the envelope's sender says before there is a message, for those who look at clients; false where it
// is nothing against him.
func EnvelopeSPF(result, domain string) (Finding, bool) {
	f := Finding{Check: CheckSPF, Result: result, Score: Authentication{SPF: Result{Result: result}}.spfScore(), Detail: domain}
	return f, f.Score > 0
}
