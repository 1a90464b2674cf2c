package adminapi

import (
	"context"
	"net/http"
	"time"
)

// Scripts are the Sieve scripts of accounts, and those of the cluster, whose owner is empty.
type Scripts interface {
	Scripts(ctx context.Context, owner string) ([]Script, error)
	Script(ctx context.Context, owner, name string) (Script, error)
	PutScript(ctx context.Context, owner string, s Script) error
	// ActivateScript has a script of an account be run from now on, and no other; without a name none is.
	ActivateScript(ctx context.Context, owner, name string) error
	DeleteScript(ctx context.Context, owner, name string) error
	// CheckScript says what is wrong with a script.
	CheckScript(ctx context.Context, s Script) error
}

// Script is one of them.
type Script struct {
	Name    string    `json:"name"`
	Active  bool      `json:"active,omitempty"` // to put: it is to be run; of the cluster's none is active
	Size    int       `json:"size,omitempty"`   // octets
	Changed time.Time `json:"changed,omitzero"`
	Text    string    `json:"text,omitempty"` // not in lists
}

func scriptRoutes(mux *http.ServeMux, x Scripts) {
	owner := func(r *http.Request) string { return r.URL.Query().Get("owner") }
	mux.HandleFunc("GET /v1/scripts", func(w http.ResponseWriter, r *http.Request) { answer(w)(x.Scripts(r.Context(), owner(r))) })
	mux.HandleFunc("POST /v1/scripts", func(w http.ResponseWriter, r *http.Request) {
		var in Script
		if decode(w, r, &in) {
			done(w, x.PutScript(r.Context(), owner(r), in))
		}
	})
	mux.HandleFunc("GET /v1/scripts/{name}", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(x.Script(r.Context(), owner(r), r.PathValue("name")))
	})
	mux.HandleFunc("DELETE /v1/scripts/{name}", func(w http.ResponseWriter, r *http.Request) {
		done(w, x.DeleteScript(r.Context(), owner(r), r.PathValue("name")))
	})
	mux.HandleFunc("PUT /v1/active-script", func(w http.ResponseWriter, r *http.Request) {
		var in Script
		if decode(w, r, &in) {
			done(w, x.ActivateScript(r.Context(), owner(r), in.Name))
		}
	})
	mux.HandleFunc("POST /v1/script-check", func(w http.ResponseWriter, r *http.Request) {
		var in Script
		if decode(w, r, &in) {
			done(w, x.CheckScript(r.Context(), in))
		}
	})
}
