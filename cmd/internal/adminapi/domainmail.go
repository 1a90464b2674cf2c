package adminapi

import (
	"context"
	"net/http"

	"github.com/rookery-mail/rookery/mta/zone"
)

// DomainMails are what domains of ours publish about their mail.
type DomainMails interface {
	DomainMail(ctx context.Context, domain string) (DomainMail, error)
	ChangeDomainMail(ctx context.Context, domain string, c DomainMailChange) (DomainMail, error)
	// DNSRecords are those to publish.
	DNSRecords(ctx context.Context, domain string) (DNSRecords, error)
	// CheckDNS compares them with what DNS has now.
	CheckDNS(ctx context.Context, domain string) (DNSCheck, error)
}

// DomainMail is what a domain publishes beside its hosts.
type DomainMail struct {
	Domain         string   `json:"domain"`
	Mode           string   `json:"mta_sts_mode"`             // none, testing, enforce; empty: no policy is served
	MaxAge         uint64   `json:"mta_sts_max_age"`          // seconds
	MX             []string `json:"mta_sts_mx"`               // that were set; empty: the nodes' names
	ID             string   `json:"mta_sts_id,omitempty"`     // of the policy that is served
	Policy         string   `json:"mta_sts_policy"`           // that is served
	TLSReportsTo   string   `json:"tls_reports_to"`           // the address that DNS is to name
	DMARCReportsTo string   `json:"dmarc_reports_to"`         // the address that DNS is to name
	Serving        []string `json:"mta_sts_serving,omitzero"` // where this node serves it
}

// DomainMailChange changes what is set in it.
type DomainMailChange struct {
	Mode           *string   `json:"mta_sts_mode,omitempty"`    // "off" ends the serving of a policy
	MaxAge         *uint64   `json:"mta_sts_max_age,omitempty"` // seconds
	MX             *[]string `json:"mta_sts_mx,omitempty"`
	TLSReportsTo   *string   `json:"tls_reports_to,omitempty"`   // empty: the address of our own
	DMARCReportsTo *string   `json:"dmarc_reports_to,omitempty"` // empty: the address of our own
}

// DNSRecords are those that a domain is to publish.
type DNSRecords struct {
	Domain  string        `json:"domain"`
	Records []zone.Record `json:"records"`
	Snippet string        `json:"snippet"` // lines of a zone file
	Notes   []string      `json:"notes"`   // what is not known, and why
}

// DNSCheck says how they compare with what DNS has.
type DNSCheck struct {
	Domain   string         `json:"domain"`
	Wrong    bool           `json:"wrong"`  // mail suffers
	Unsure   bool           `json:"unsure"` // what mail hangs on could not all be compared
	Findings []zone.Finding `json:"findings"`
	Notes    []string       `json:"notes"`
}

func domainMailRoutes(mux *http.ServeMux, d DomainMails) {
	mux.HandleFunc("GET /v1/domains/{name}/mail", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(d.DomainMail(r.Context(), r.PathValue("name")))
	})
	mux.HandleFunc("PATCH /v1/domains/{name}/mail", func(w http.ResponseWriter, r *http.Request) {
		var in DomainMailChange
		if decode(w, r, &in) {
			answer(w)(d.ChangeDomainMail(r.Context(), r.PathValue("name"), in))
		}
	})
	mux.HandleFunc("GET /v1/domains/{name}/dns", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(d.DNSRecords(r.Context(), r.PathValue("name")))
	})
	mux.HandleFunc("GET /v1/domains/{name}/dns/check", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(d.CheckDNS(r.Context(), r.PathValue("name")))
	})
}
