package adminapi

import (
	"context"
	"net/http"
)

// TLSRules say what the hosts of other domains must show before they get mail.
type TLSRules interface {
	TLSRules(ctx context.Context) ([]TLSRule, error)
	PutTLSRule(ctx context.Context, r TLSRule) error
	DeleteTLSRule(ctx context.Context, domain string) error
}

// TLSRule is one for a domain.
type TLSRule struct {
	Domain string   `json:"domain"`          // or .domain for all below it
	Level  string   `json:"level"`           // encrypt or verify
	Names  []string `json:"names,omitempty"` // that a certificate may be for, or .name for all below it; none: the host's own
}

func tlsRuleRoutes(mux *http.ServeMux, t TLSRules) {
	mux.HandleFunc("GET /v1/tls-rules", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(t.TLSRules(r.Context()))
	})
	mux.HandleFunc("POST /v1/tls-rules", put(t.PutTLSRule))
	mux.HandleFunc("DELETE /v1/tls-rules/{domain}", byName("domain", t.DeleteTLSRule))
}
