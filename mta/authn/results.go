package authn

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/arc"
	"github.com/rookery-mail/rookery/mta/authres"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dmarc"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// Facts are the results as they are judged by.
func (r Results) Facts() (inbound.Authentication, inbound.Author) {
	a := inbound.Authentication{
		ARC:   inbound.Chain{Result: string(r.ARC.Status), Trusted: r.ARC.Vouched != "", Detail: r.ARC.Reason},
		DMARC: inbound.DMARC{Result: string(r.DMARC.Result), Asked: string(r.DMARC.Policy), Domain: r.DMARC.PolicyDomain, Detail: r.DMARC.Reason},
	}
	if r.ARC.Status == "" && r.ARC.Reason != "" {
		a.ARC.Result = "temperror"
	}
	if n := len(r.ARC.Sealers); n > 0 {
		a.ARC.Sealer = r.ARC.Sealers[n-1]
	}
	if r.ARC.Vouched != "" {
		a.ARC.Detail = "vouched for by " + r.ARC.Vouched
	}
	if r.Client.IsValid() {
		a.IPRev = inbound.Result{Result: string(r.IPRev.Result), Domain: r.IPRev.Name, Detail: r.IPRev.Problem}
		a.SPF = inbound.Result{Result: string(r.SPF.Result), Domain: r.SPF.Domain, Aligned: r.DMARC.SPFAligned, Detail: afterWord(r.SPF.String())}
		a.Helo = inbound.Result{Result: string(r.Helo.Result), Domain: r.Helo.Domain}
		if r.Helo.Result != "" {
			a.Helo.Detail = afterWord(r.Helo.String())
		}
	}
	for _, o := range r.DKIM {
		a.DKIM = append(a.DKIM, inbound.Result{Result: string(o.Result), Domain: o.Domain, Aligned: r.aligned(o), Detail: detail(o)})
	}
	switch {
	case r.More > 0:
		a.DKIM = append(a.DKIM, inbound.Result{Result: string(dkim.Neutral), Detail: fmt.Sprintf("%d more signatures were not looked at", r.More)})
	case r.Problem != "":
		a.DKIM = append(a.DKIM, inbound.Result{Result: string(dkim.Neutral), Detail: r.Problem})
	case len(r.DKIM) == 0:
		a.DKIM = append(a.DKIM, inbound.Result{Result: "none"})
	}
	return a, inbound.Author{Fields: r.Fields, Addresses: r.Authors}
}

// afterWord is an outcome in words without its first, the result.
func afterWord(text string) string {
	_, rest, _ := strings.Cut(text, " ")
	return rest
}

// detail says of a signature what its result and domain do not.
func detail(o dkim.Outcome) string {
	text := afterWord(o.String())
	return strings.TrimPrefix(strings.TrimPrefix(text, o.Domain), ", ")
}

// aligned reports whether a signature passes for a domain that is aligned with the author's.
func (r Results) aligned(o dkim.Outcome) bool {
	return o.Result == dkim.Pass && slices.ContainsFunc(r.DMARC.DKIMAligned, func(i dmarc.Identifier) bool { return i.Domain == o.Domain })
}

// maxTold is how many signatures a field tells of.
const maxTold = 10

// Field are the results as an Authentication-Results field of a server says them (RFC 8601). Seals say the same.
func (r Results) Field(server string) authres.Field {
	f := authres.Field{Server: server}
	add := func(method, value, reason string, properties ...authres.Property) {
		if value != "" {
			f.Results = append(f.Results, authres.Result{Method: method, Value: value, Reason: reason,
				Properties: slices.DeleteFunc(properties, func(p authres.Property) bool { return p.Value == "" })})
		}
	}
	if r.Client.IsValid() {
		add("iprev", string(r.IPRev.Result), "", authres.Property{Type: "policy", Name: "iprev", Value: address(r.Client)})
		name := string(r.SPF.Identity)
		value := r.SPF.Sender
		if name == "helo" {
			value = r.SPF.Domain
		}
		add("spf", string(r.SPF.Result), "", authres.Property{Type: "smtp", Name: name, Value: value})
		if r.Helo.Domain != "" {
			add("spf", string(r.Helo.Result), "", authres.Property{Type: "smtp", Name: "helo", Value: r.Helo.Domain})
		}
	}
	for _, o := range r.DKIM[:min(len(r.DKIM), maxTold)] {
		reason := o.Reason
		if o.Result == dkim.TempError {
			reason = "" // it tells of our DNS
		}
		add("dkim", string(o.Result), reason, authres.Property{Type: "header", Name: "d", Value: o.Domain}, authres.Property{Type: "header", Name: "s", Value: o.Selector},
			authres.Property{Type: "header", Name: "a", Value: o.Algorithm}, authres.Property{Type: "header", Name: "b", Value: o.Mark})
	}
	if len(r.DKIM) == 0 && r.Problem == "" {
		add("dkim", "none", "")
	}
	if r.ARC.Status != arc.None {
		value, reason, sealer := string(r.ARC.Status), r.ARC.Reason, ""
		if value == "" && reason != "" {
			value, reason = "temperror", ""
		}
		if n := len(r.ARC.Sealers); n > 0 {
			sealer = r.ARC.Sealers[n-1]
		}
		add("arc", value, reason, authres.Property{Type: "header", Name: "d", Value: sealer})
	}
	var asked string
	if r.DMARC.PolicyDomain != "" {
		asked = string(r.DMARC.Policy)
	}
	add("dmarc", string(r.DMARC.Result), "", authres.Property{Type: "header", Name: "from", Value: r.DMARC.From}, authres.Property{Type: "policy", Name: "dmarc", Value: asked})
	return f
}

func address(a netip.Addr) string { return a.Unmap().String() }
