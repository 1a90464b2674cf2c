package adminapi

import (
	"context"
	"net/http"
	"time"
)

// DKIM is the keys that mail of our domains is signed with (RFC 6376).
type DKIM interface {
	// DKIMKeys lists keys, without what is secret of them: of a domain, or of all where it is empty.
	DKIMKeys(ctx context.Context, domain string) ([]DKIMKey, error)
	// AddDKIMKey makes a key that waits for DNS, or takes one that was made elsewhere.
	AddDKIMKey(ctx context.Context, k NewDKIMKey) (DKIMKey, error)
	// RotateDKIMKeys makes a successor of each kind.
	RotateDKIMKeys(ctx context.Context, domain string) ([]DKIMKey, error)
	ActivateDKIMKey(ctx context.Context, domain, selector string) error
	RetireDKIMKey(ctx context.Context, domain, selector string) error
	RemoveDKIMKey(ctx context.Context, domain, selector string, force bool) error
	// ExportDKIMKey gives the private key.
	ExportDKIMKey(ctx context.Context, domain, selector string) (DKIMSecret, error)
}

// DKIMKey is a key, without what is secret of it.
type DKIMKey struct {
	Domain     string    `json:"domain"`
	Selector   string    `json:"selector"`
	Algorithm  string    `json:"algorithm"` // rsa or ed25519
	State      string    `json:"state"`     // waiting, signing, retiring, removable
	DNS        string    `json:"dns"`       // published, missing, differs, unknown
	Created    time.Time `json:"created"`
	SignsFrom  time.Time `json:"signs_from,omitzero"`
	SignsUntil time.Time `json:"signs_until,omitzero"`
	Name       string    `json:"name"`   // of the TXT record that publishes it
	Record     string    `json:"record"` // its text
}

// NewDKIMKey asks for a key.
type NewDKIMKey struct {
	Domain     string `json:"domain"`
	Algorithm  string `json:"algorithm,omitempty"`   // rsa or ed25519; empty: rsa, or what PrivateKey is
	Selector   string `json:"selector,omitempty"`    // empty: one is chosen
	PrivateKey string `json:"private_key,omitempty"` // PEM; empty: a new one is made
}

// DKIMSecret is a private key in PEM.
type DKIMSecret struct {
	PrivateKey string `json:"private_key"`
}

func dkimRoutes(mux *http.ServeMux, d DKIM) {
	mux.HandleFunc("GET /v1/dkim", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(d.DKIMKeys(r.Context(), r.URL.Query().Get("domain")))
	})
	mux.HandleFunc("POST /v1/dkim", func(w http.ResponseWriter, r *http.Request) {
		var in NewDKIMKey
		if decode(w, r, &in) {
			answer(w)(d.AddDKIMKey(r.Context(), in))
		}
	})
	mux.HandleFunc("POST /v1/dkim/{domain}/rotate", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(d.RotateDKIMKeys(r.Context(), r.PathValue("domain")))
	})
	mux.HandleFunc("POST /v1/dkim/{domain}/{selector}/activate", func(w http.ResponseWriter, r *http.Request) {
		done(w, d.ActivateDKIMKey(r.Context(), r.PathValue("domain"), r.PathValue("selector")))
	})
	mux.HandleFunc("POST /v1/dkim/{domain}/{selector}/retire", func(w http.ResponseWriter, r *http.Request) {
		done(w, d.RetireDKIMKey(r.Context(), r.PathValue("domain"), r.PathValue("selector")))
	})
	mux.HandleFunc("DELETE /v1/dkim/{domain}/{selector}", func(w http.ResponseWriter, r *http.Request) {
		done(w, d.RemoveDKIMKey(r.Context(), r.PathValue("domain"), r.PathValue("selector"), r.URL.Query().Get("force") == "true"))
	})
}

// dkimSecretRoutes are on the node's own socket alone.
func dkimSecretRoutes(mux *http.ServeMux, d DKIM) {
	mux.HandleFunc("GET /v1/dkim/{domain}/{selector}/secret", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(d.ExportDKIMKey(r.Context(), r.PathValue("domain"), r.PathValue("selector")))
	})
}
