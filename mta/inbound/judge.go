package inbound

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/rookery-mail/rookery/mta"
)

// Enhanced codes of verdicts (RFC 3463, RFC 7489, section 10.3).
const (
	tempNetwork mta.Enhanced = "4.4.3"
	tempFilter  mta.Enhanced = "4.7.1"
	badMessage  mta.Enhanced = "5.6.0"
)

// Judge decides about a message for one recipient. The rules are asked in order, and the first that refuses it, or puts it off,
// decides, else the first that puts it to Junk; scores are for what no rule decides.
//
// Invariant: what a rule that forbids has said is never taken back by another. An allow list beats the score and the verdicts that
// go by what spam looks like; not viruses, forgeries, or filters that refuse for another reason.
func Judge(f Facts, p Policy) Verdict {
	j := &judge{f: f, p: p}
	j.gather()
	for _, rule := range []func(*judge) bool{
		(*judge).unchecked, (*judge).virus, (*judge).late, (*judge).filterFailed, (*judge).filterRefuses, (*judge).fromBroken,
		(*judge).blocked, (*judge).dmarc, (*judge).allowed, (*judge).spamRefused, (*judge).filterJunks, (*judge).scored,
	} {
		if rule(j) {
			break
		}
	}
	if j.v.Rule == "" {
		j.v.Rule = fmt.Sprintf("no rule speaks against it, and the score is %s", points(j.v.Score))
	}
	return j.v
}

// judge is one decision.
type judge struct {
	f    Facts
	p    Policy
	list listing
	v    Verdict
}

// gather puts the findings in order and adds up the score.
func (j *judge) gather() {
	if j.f.Client.Unchecked {
		return
	}
	j.v.Findings = append(j.v.Findings, j.f.Findings...)
	j.v.Findings = append(j.v.Findings, j.f.Auth.findings()...)
	j.v.Findings = append(j.v.Findings, j.f.Author.findings()...)
	for _, filter := range j.f.Filters {
		j.v.Findings = append(j.v.Findings, filter.Findings...)
	}
	if l := j.f.Learned; l != nil {
		j.v.Findings = append(j.v.Findings, Finding{CheckBayes, opinion(l.Probability), l.Score, l.Detail})
	}
	j.list = j.p.listed(j.f)
	j.findList()
	for i, finding := range j.v.Findings {
		if math.IsNaN(finding.Score) || math.IsInf(finding.Score, 0) {
			j.v.Findings[i].Score = 0 // of a filter that cannot count
		}
		j.v.Score += j.v.Findings[i].Score
	}
}

// findList tells what the lists of senders say.
func (j *judge) findList() {
	switch l := j.list; {
	case l.found && l.entry.Allow:
		j.note(CheckList, "allow", "%s, by the list of %s (%s)", l.who, l.entry.Of, l.entry.Pattern)
	case l.found:
		j.note(CheckList, "block", "%s, by the list of %s (%s)", l.who, l.entry.Of, l.entry.Pattern)
	case l.unproven != "":
		j.note(CheckList, "unproven", "%s is allowed, and nothing shows that the message is from there", l.unproven)
	}
}

func (j *judge) note(check, result, format string, args ...any) {
	j.v.Findings = append(j.v.Findings, Finding{Check: check, Result: result, Detail: fmt.Sprintf(format, args...)})
}

// decide reports whether the decision is made. Junk is not the end: a later rule may refuse.
func (j *judge) decide(a Action, reply *mta.Reply, format string, args ...any) bool {
	if j.v.Action != Junk || a > Junk {
		j.v.Action, j.v.Reply, j.v.Rule = a, reply, fmt.Sprintf(format, args...)
	}
	return a != Junk
}

// unchecked: what comes from our own networks is not held against anything.
func (j *judge) unchecked() bool {
	return j.f.Client.Unchecked && j.decide(Accept, nil, "%s is in a network that is not checked", j.f.Client.Address)
}

// virus: what harms whoever opens it gets to nobody, whoever sent it.
func (j *judge) virus() bool {
	for _, filter := range j.f.Filters {
		if filter.Virus == "" {
			continue
		}
		if j.p.VirusJunk {
			return j.decide(Junk, nil, "%s found %s", filter.Name, filter.Virus)
		}
		return j.decide(Refuse, mta.Replyf(550, mta.NotAuthorized, "The message has a virus: %s", oneLine(filter.Virus)), "%s found %s", filter.Name, filter.Virus)
	}
	return false
}

// late: what could not be checked in time comes again.
func (j *judge) late() bool {
	return j.f.Late != "" && j.decide(Defer, mta.Replyf(451, tempNetwork, "The checks of the message did not end in time (%s), try again later", oneLine(j.f.Late)),
		"the checks did not end in time: %s", j.f.Late)
}

// filterFailed: the operator wants no mail that a filter has not seen.
func (j *judge) filterFailed() bool {
	for _, filter := range j.f.Filters {
		if filter.Failed != "" {
			return j.decide(Defer, mta.Replyf(451, tempFilter, "The message cannot be checked now, try again later"),
				"%s could not be asked, and no mail is taken without it: %s", filter.Name, filter.Failed)
		}
	}
	return false
}

// filterRefuses: a filter says no for another reason than that it looks like spam.
func (j *judge) filterRefuses() bool {
	for _, filter := range j.f.Filters {
		if filter.Refuse != nil && !filter.Spam {
			return j.refusedBy(filter)
		}
	}
	return false
}

func (j *judge) refusedBy(filter FilterResult) bool {
	a := Refuse
	if filter.Refuse.Temporary() {
		a = Defer
	}
	return j.decide(a, filter.Refuse, "%s answered %s", filter.Name, filter.Refuse.Error())
}

// fromBroken: with several From fields each program shows another author.
func (j *judge) fromBroken() bool {
	if j.f.Author.Fields < 2 {
		return false
	}
	if j.p.FromBroken == "junk" {
		return j.decide(Junk, nil, "it has %d From fields", j.f.Author.Fields)
	}
	return j.decide(Refuse, mta.Replyf(550, badMessage, "The message has %d From fields, one is allowed (RFC 5322, section 3.6)", j.f.Author.Fields),
		"it has %d From fields", j.f.Author.Fields)
}

// blocked: the recipient, his domain or the cluster does not want mail of the sender.
func (j *judge) blocked() bool {
	l := j.list
	if !l.found || l.entry.Allow || j.p.Postmaster {
		return false
	}
	if l.entry.Junk {
		return j.decide(Junk, nil, "%s is blocked by the list of %s", l.who, l.entry.Of)
	}
	return j.decide(Refuse, mta.Replyf(550, mta.NotAuthorized, "Mail from %s is not taken here", oneLine(l.who)), "%s is blocked by the list of %s", l.who, l.entry.Of)
}

// dmarc: the domain of the author says what is to become of mail that is not its own (RFC 7489, section 6.3).
func (j *judge) dmarc() bool {
	d := j.f.Auth.DMARC
	if d.Result == "temperror" && j.p.DMARCError {
		return j.decide(Defer, mta.Replyf(451, tempNetwork, "What %s says of its mail (DMARC) cannot be learnt now, try again later", oneLine(cmp.Or(d.Domain, "its author's domain"))),
			"DMARC of %s cannot be learnt now", d.Domain)
	}
	if d.Result != "fail" || d.Asked != "quarantine" && d.Asked != "reject" {
		return false
	}
	of := cmp.Or(j.p.DMARCOf, "the cluster's setting")
	switch arc := j.f.Auth.ARC; {
	case arc.Result == "pass" && arc.Trusted:
		j.note(CheckDMARC, "override", "%s, which is trusted, passed it on unbroken (ARC), so that %s of %s is not held against it", arc.Sealer, d.Asked, d.Domain)
		return false
	case j.p.DMARC == DMARCTag:
		j.note(CheckDMARC, "override", "%s asks for %s, and %s only tells", d.Domain, d.Asked, of)
		return false
	case d.Asked == "quarantine":
		return j.decide(Junk, nil, "it fails DMARC, and %s asks for quarantine", d.Domain)
	case j.p.DMARC == DMARCQuarantine:
		return j.decide(Junk, nil, "it fails DMARC, and %s asks for reject, which is Junk by %s", d.Domain, of)
	case j.p.DMARCLists && j.f.list() != "":
		return j.decide(Junk, nil, "it fails DMARC, and %s asks for reject, but it comes by the mailing list %s", d.Domain, j.f.list())
	}
	return j.decide(Refuse, mta.Replyf(550, mta.NotAuthorized, "The message is not from %s (DMARC), which asks to have such refused", oneLine(d.Domain)),
		"it fails DMARC, and %s asks for reject", d.Domain)
}

// list is the mailing list that a message comes by, where whoever runs that one has authenticated himself: such lists change
// messages, and break what their authors signed (RFC 7960, section 3.2.3).
func (f Facts) list() string {
	if f.MailingList == "" {
		return ""
	}
	for _, r := range append([]Result{f.Auth.SPF}, f.Auth.DKIM...) {
		if r.Result == "pass" && r.Domain != "" && under(f.MailingList, r.Domain) {
			return f.MailingList
		}
	}
	return ""
}

// under reports whether a name is a domain or below it.
func under(name, domain string) bool {
	name, domain = strings.ToLower(name), strings.ToLower(domain)
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// allowed: who is wanted is not held against the score, nor against what looks like spam.
func (j *judge) allowed() bool {
	l := j.list
	return l.found && l.entry.Allow && j.decide(Accept, nil, "%s is allowed by the list of %s", l.who, l.entry.Of)
}

// spamRefused: a filter says no since it looks like spam.
func (j *judge) spamRefused() bool {
	for _, filter := range j.f.Filters {
		if filter.Refuse == nil {
			continue
		}
		if j.p.Postmaster && filter.Refuse.Permanent() {
			return j.decide(Junk, nil, "%s answered %s, but it is for a postmaster", filter.Name, filter.Refuse.Error())
		}
		return j.refusedBy(filter)
	}
	return false
}

// filterJunks: a filter says that it is for Junk.
func (j *judge) filterJunks() bool {
	for _, filter := range j.f.Filters {
		if filter.Junk {
			return j.decide(Junk, nil, "%s says that it is junk", filter.Name)
		}
	}
	return false
}

// scored: what all checks together say.
func (j *judge) scored() bool {
	switch s := j.v.Score; {
	case j.p.RefuseScore > 0 && s >= j.p.RefuseScore && !j.p.Postmaster:
		return j.decide(Refuse, mta.Replyf(550, mta.NotAuthorized, "The message looks like spam"), "the score of %s reaches %s, from which on mail is refused", points(s), points(j.p.RefuseScore))
	case j.p.JunkScore > 0 && s >= j.p.JunkScore:
		return j.decide(Junk, nil, "the score of %s reaches %s, from which on mail is junk", points(s), points(j.p.JunkScore))
	}
	return false
}

// points is a score as it is told.
func points(s float64) string { return fmt.Sprintf("%.1f", s) }

// oneLine bounds a text of others in a reply.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}
