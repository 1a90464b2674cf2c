package adminapi

import (
	"context"
	"net/http"
	"time"
)

// InboundRules say whose mail is taken, and what becomes of it, for the cluster, for a domain, or for an account.
type InboundRules interface {
	// SenderList lists entries: those of one whose they are, or of all where of is empty.
	SenderList(ctx context.Context, of string) ([]SenderEntry, error)
	PutSenderEntry(ctx context.Context, e SenderEntry) error
	RemoveSenderEntry(ctx context.Context, of, sender string) error
	// InboundPolicies lists what was set.
	InboundPolicies(ctx context.Context) ([]InboundPolicy, error)
	// EffectivePolicy is what holds for a recipient.
	EffectivePolicy(ctx context.Context, recipient string) (InboundPolicy, error)
	PutInboundPolicy(ctx context.Context, p InboundPolicy) error
	RemoveInboundPolicy(ctx context.Context, of string) error
}

// SenderEntry is an entry of a list of senders.
type SenderEntry struct {
	Of      string    `json:"of"`     // whose list: *, a domain, or an account's address
	Sender  string    `json:"sender"` // an address, a domain, .domain, or a network of clients
	Action  string    `json:"action"` // allow, refuse or junk
	Note    string    `json:"note,omitempty"`
	Created time.Time `json:"created,omitzero"`
}

// InboundPolicy is what somebody wants otherwise than the settings say. What is not set is empty, or nil.
type InboundPolicy struct {
	Of                string   `json:"of"` // a domain, an account's address, or from:DOMAIN for what says it is from there
	DMARC             string   `json:"dmarc_policy,omitempty"`
	JunkScore         *float64 `json:"junk_score,omitempty"`
	RefuseScore       *float64 `json:"refuse_score,omitempty"`
	SubaddressFolders string   `json:"subaddress_folders,omitempty"`
}

func inboundRuleRoutes(mux *http.ServeMux, i InboundRules) {
	mux.HandleFunc("GET /v1/senders", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(i.SenderList(r.Context(), r.URL.Query().Get("of")))
	})
	mux.HandleFunc("POST /v1/senders", put(i.PutSenderEntry))
	mux.HandleFunc("DELETE /v1/senders", func(w http.ResponseWriter, r *http.Request) {
		done(w, i.RemoveSenderEntry(r.Context(), r.URL.Query().Get("of"), r.URL.Query().Get("sender")))
	})
	mux.HandleFunc("GET /v1/policies", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(i.InboundPolicies(r.Context()))
	})
	mux.HandleFunc("GET /v1/policies/{recipient}", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(i.EffectivePolicy(r.Context(), r.PathValue("recipient")))
	})
	mux.HandleFunc("POST /v1/policies", put(i.PutInboundPolicy))
	mux.HandleFunc("DELETE /v1/policies/{of}", byName("of", i.RemoveInboundPolicy))
}
