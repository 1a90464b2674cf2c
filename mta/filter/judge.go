package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// Judge says what the setting makes of a report.
func (s *Setting) Judge(r Report) inbound.FilterResult {
	out := inbound.FilterResult{Name: s.check()}
	switch r.Word {
	case Refuse:
		out.Refuse = s.refuse(r, 550, mta.NotAuthorized)
		out.Spam = r.Looks
	case Defer:
		out.Refuse = s.refuse(r, 451, mta.TempNotNow)
	case Virus:
		out.Junk = s.Found == ActJunk
		if s.Found == ActRefuse {
			out.Virus = r.Virus
		}
	case Spam:
		switch {
		case s.Kind == Spamd && (s.Found == ActRefuse || s.RefuseAt > 0 && r.Score >= s.RefuseAt):
			out.Refuse, out.Spam = s.refuse(r, 550, mta.NotAuthorized), true
		case s.Found != ActTag:
			out.Junk = true
		}
	case Quarantine, Discard: // nothing that was taken is thrown away
		out.Junk = true
	}
	out.Findings = s.findings(r)
	return out
}

// refuse is the filter's own reply where it is of the kind, else ours.
func (s *Setting) refuse(r Report, code int, enhanced mta.Enhanced) *mta.Reply {
	switch {
	case r.Reply != nil && r.Reply.Code/100 == code/100:
		return r.Reply
	case code == 451:
		return mta.Replyf(code, enhanced, "the filter %s asks to try again later", s.Name)
	case r.Word == Spam:
		return mta.Replyf(code, enhanced, "the message looks like spam")
	}
	return mta.Replyf(code, enhanced, "the filter %s refuses the message", s.Name)
}

// For is what the filters say for one recipient: one that a filter refuses is refused it, and one that it takes away
// gets it in Junk, for nothing that was taken is thrown away.
func (o Outcome) For(recipient string) []inbound.FilterResult {
	out := o.Results
	add := func(result string, reply *mta.Reply) {
		name := "milter"
		if len(o.Results) > 0 {
			name = o.Results[len(o.Results)-1].Name
		}
		out = append(slices.Clip(out), inbound.FilterResult{Name: name, Refuse: reply, Junk: reply == nil,
			Findings: []inbound.Finding{{Check: name, Result: result, Detail: printable(recipient)}}})
	}
	for _, r := range o.Refused {
		if r.Recipient == recipient {
			add("recipient-refused", r.Reply)
		}
	}
	if slices.Contains(o.Removed, recipient) {
		add("recipient-removed", nil)
	}
	return out
}

// Unanswered is what a filter comes to that gives no answer, and why: the message goes on, or is deferred.
func (s *Setting) Unanswered(err error) inbound.FilterResult {
	f := inbound.Finding{Check: s.check(), Result: "error", Detail: printable(err.Error())}
	out := inbound.FilterResult{Name: s.check()}
	if s.Closed {
		out.Failed = f.Detail
	} else {
		f.Detail += "; goes on without"
	}
	out.Findings = []inbound.Finding{f}
	return out
}

// Skipped is the result of a filter that is not asked.
func (s *Setting) Skipped(why string) inbound.FilterResult {
	return inbound.FilterResult{Name: s.check(), Findings: []inbound.Finding{s.Note(why)}}
}

// Note is a finding about a filter that is not its own.
func (s *Setting) Note(why string) inbound.Finding {
	return inbound.Finding{Check: s.check(), Result: "skip", Detail: why}
}

// justJunk is the score of a message of which a filter says that it is just spam; it is what the cluster's setting has, unless changed.
const justJunk = 5

// The bounds of what one filter adds to the score of a message.
const (
	leastPoints = -5
	mostPoints  = 20
)

// points is what a report adds to the score of a message.
func (s *Setting) points(r Report) float64 {
	if r.Required <= 0 {
		return 0
	}
	return max(leastPoints, min(justJunk*s.Weight*r.Score/r.Required, mostPoints))
}

// findings tells of a report in two lines: what the filter says, and by which of its rules.
func (s *Setting) findings(r Report) []inbound.Finding {
	var detail []string
	if r.Required != 0 {
		detail = append(detail, fmt.Sprintf("%.4g of %.4g", r.Score, r.Required))
	}
	for _, part := range []string{r.Virus, r.Detail} {
		if part != "" {
			detail = append(detail, printable(part))
		}
	}
	detail = append(detail, r.Edits.told()...)
	out := []inbound.Finding{{Check: s.check(), Result: string(r.Word), Score: s.points(r), Detail: strings.Join(detail, "; ")}}
	if rules := ruleLine(r.Symbols); rules != "" {
		out = append(out, inbound.Finding{Check: s.check(), Result: "rules", Detail: rules})
	}
	return out
}

// told says what a filter changed.
func (e Edits) told() (out []string) {
	count := func(n int, what string) {
		if n > 0 {
			out = append(out, fmt.Sprintf("%s: %d", what, n))
		}
	}
	count(len(e.Changes), "changes of the header")
	if e.Body != nil {
		out = append(out, "another body")
	}
	if e.From != nil {
		out = append(out, "another sender, which is not done")
	}
	count(len(e.Added), "recipients to add, which is not done")
	count(len(e.Removed), "recipients removed")
	count(len(e.Recipients), "recipients refused")
	return out
}
