package authn

import (
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dmarc"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
)

// maxReported is how many signatures a row of a report tells.
const maxReported = 4

// Report is the message as a report to the author's domain counts it (RFC 7489, section 7.2), without what was done with it. ok is
// false where the domain wants no reports, or DMARC came to nothing.
func (r Results) Report() (p dmarcreport.Published, row dmarcreport.Row, ok bool) {
	d := r.DMARC
	if d.PolicyDomain == "" || len(d.Record.Aggregate) == 0 || d.Result != dmarc.Pass && d.Result != dmarc.Fail || !r.Client.IsValid() {
		return p, row, false
	}
	strict := map[bool]string{false: "r", true: "s"}
	p = dmarcreport.Published{Domain: d.PolicyDomain, Policy: string(d.Record.Policy), Subdomains: string(d.Record.Subdomains), Missing: string(d.Record.Missing),
		DKIM: strict[d.Record.StrictDKIM], SPF: strict[d.Record.StrictSPF]}
	row = dmarcreport.Row{Source: address(r.Client), Count: 1, Disposition: "none", DKIM: "fail", SPF: "fail", From: d.From}
	if len(d.DKIMAligned) > 0 {
		row.DKIM = "pass"
	}
	if d.SPFAligned {
		row.SPF = "pass"
	}
	scope := "mfrom"
	if r.SPF.Identity == "helo" {
		scope = "helo"
	} else {
		row.EnvelopeFrom = r.SPF.Domain
	}
	row.Senders = []dmarcreport.Check{{Domain: r.SPF.Domain, Name: scope, Result: string(r.SPF.Result)}}
	for _, o := range r.DKIM {
		if o.Domain != "" && len(row.Signatures) < maxReported {
			result := o.Result
			if result == "" {
				result = dkim.Neutral
			}
			row.Signatures = append(row.Signatures, dmarcreport.Check{Domain: o.Domain, Name: o.Selector, Result: string(result)})
		}
	}
	return p, row, true
}
