package dmarc

import (
	"context"
	"fmt"
	"strings"
)

// Bounds of what one message can have asked.
const (
	maxDomains     = 6  // authors' domains
	maxIdentifiers = 16 // signatures that count
)

// Evaluate checks a message. It asks at most 8 names for each domain that passed and each of the authors', each name once; and it ends
// when ctx does, since the lookup's error makes it TempError.
func Evaluate(ctx context.Context, q Query, l Lookup) Outcome {
	domains, err := Authors(q.From)
	e := evaluation{q: q, w: newWalker(l)}
	if err == nil && len(domains) == 1 {
		return e.author(ctx, domains[0])
	}
	worst := Outcome{Result: PermError, Policy: NoPolicy, Asked: NoPolicy}
	if err == nil {
		worst.Result, err = Pass, fmt.Errorf("%w of one domain: there are %d", errAuthor, len(domains))
	}
	if len(domains) > maxDomains {
		worst.Result, domains = PermError, domains[:maxDomains]
	}
	well := worst.Result == Pass
	for i, d := range domains {
		o := e.author(ctx, d)
		if i == 0 || worse(o, worst) {
			worst = o
		}
	}
	if !well && worst.Result != Fail && worst.Result != TempError {
		worst.Result = PermError
	}
	worst.Forged = true
	worst.Reason = strings.TrimSuffix(err.Error()+"; "+worst.Reason, "; ")
	return worst
}

// worse reports whether a tells more against a message than b.
func worse(a, b Outcome) bool { return a.weight() > b.weight() }

func (o Outcome) weight() int {
	switch {
	case o.Result == Fail && o.Policy == Reject:
		return 5
	case o.Result == Fail && o.Policy == Quarantine:
		return 4
	case o.Result == TempError:
		return 3
	case o.Result == Fail:
		return 2
	case o.Result != Pass:
		return 1
	}
	return 0
}

type evaluation struct {
	q Query
	w *walker
}

// author evaluates the message as one of a domain (RFC 9989, section 5.3).
func (e evaluation) author(ctx context.Context, domain string) Outcome {
	o := Outcome{Result: None, From: domain, Organisation: domain, Asked: NoPolicy, Policy: NoPolicy}
	list, err := e.w.walk(ctx, domain)
	policy, ok := applies(domain, list)
	if err != nil && (!ok || policy.domain != domain) {
		o.Result, o.Reason = TempError, err.Error()
		return o
	}
	if !ok {
		o.Reason = "no policy of " + domain
		return o
	}
	o.Record, o.PolicyDomain = policy.record, policy.domain
	if policy.record.NotUsable {
		o.Reason = "the policy of " + policy.domain + " is none that can be used"
		return o
	}
	if err == nil {
		o.Organisation = organisation(domain, list)
	}
	temporary := e.align(ctx, &o, err)
	if o.SPFAligned || len(o.DKIMAligned) > 0 {
		o.Result = Pass
	} else {
		o.Result = Fail
	}
	missing, err := e.ask(ctx, &o)
	switch {
	case o.Result == Pass:
	case temporary != "":
		o.Result, o.Reason = TempError, temporary
		return o
	case err != nil:
		o.Result, o.Reason = TempError, err.Error()
		return o
	}
	o.Reason = e.words(o, missing)
	return o
}

// align finds which identifiers are aligned. It tells why a failure is not final, where it is not; walked is what kept the organisation
// from being known.
func (e evaluation) align(ctx context.Context, o *Outcome, walked error) (temporary string) {
	aligned := func(id Identifier, strict bool) bool {
		name := strings.ToLower(strings.TrimSuffix(id.Domain, "."))
		if name == o.From {
			return true
		}
		if strict || name == "" {
			return false
		}
		if walked != nil {
			temporary = walked.Error()
			return false
		}
		if !within(name, o.Organisation) {
			return false
		}
		org, err := e.w.organisation(ctx, name)
		if err != nil {
			temporary = err.Error()
		}
		return err == nil && org == o.Organisation
	}
	check := func(id Identifier, strict bool, what string) bool {
		switch {
		case id.Result == "pass":
			return aligned(id, strict)
		case id.Result == "temperror" && aligned(id, strict):
			temporary = fmt.Sprintf("%s of %s cannot be checked for now", what, id.Domain)
		}
		return false
	}
	o.SPFAligned = check(e.q.SPF, o.Record.StrictSPF, "SPF")
	for _, id := range e.q.DKIM[:min(len(e.q.DKIM), maxIdentifiers)] {
		if check(id, o.Record.StrictDKIM, "a signature") {
			o.DKIMAligned = append(o.DKIMAligned, id)
		}
	}
	return temporary
}

// ask fills in what the domain asks for. Whether a domain that has no record exists is only asked where that makes a difference.
func (e evaluation) ask(ctx context.Context, o *Outcome) (missing bool, err error) {
	r := o.Record
	o.Asked = r.Policy
	if o.PolicyDomain != o.From {
		o.Asked = r.Subdomains
		if r.Missing != r.Subdomains && o.Result != Pass {
			exists, e := e.w.l.Exists(ctx, o.From)
			if err = e; err == nil && !exists {
				o.Asked, missing = r.Missing, true
			}
		}
	}
	o.Policy = o.Asked
	if o.Testing = r.Testing || e.q.Draw >= r.Percent; o.Testing {
		o.Policy = o.Asked.milder()
	}
	return missing, err
}

// words tells the outcome.
func (e evaluation) words(o Outcome, missing bool) string {
	if o.Result == Pass {
		var by []string
		if o.SPFAligned {
			by = append(by, "SPF of "+e.q.SPF.Domain)
		}
		for _, id := range o.DKIMAligned {
			by = append(by, "a signature of "+id.Domain)
		}
		return o.From + " by " + strings.Join(by, ", ")
	}
	s := fmt.Sprintf("nothing that passes is aligned with %s; %s asks for %s", o.From, o.PolicyDomain, o.Asked)
	if missing {
		s += " of names that do not exist"
	}
	if o.Testing && o.Policy != o.Asked {
		s += fmt.Sprintf(", as a test: %s", o.Policy)
	}
	return s
}
