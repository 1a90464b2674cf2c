package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
)

func observerRoutes(mux *http.ServeMux, o Observer) {
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(o.Status(r.Context()))
	})
	mux.HandleFunc("POST /v1/debug/snapshot", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(o.Snapshots(r.Context()))
	})
	mux.HandleFunc("GET /v1/debug/hash", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(o.Hashes(r.Context()))
	})
}

func domainRoutes(mux *http.ServeMux, d Domains) {
	mux.HandleFunc("GET /v1/domains", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(d.Domains(r.Context()))
	})
	mux.HandleFunc("POST /v1/domains", put(d.PutDomain))
	mux.HandleFunc("DELETE /v1/domains/{name}", byName("name", d.DeleteDomain))
}

func accountRoutes(mux *http.ServeMux, a Accounts) {
	mux.HandleFunc("GET /v1/accounts", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(a.Accounts(r.Context(), r.URL.Query().Get("domain")))
	})
	mux.HandleFunc("GET /v1/accounts/{address}", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(a.Account(r.Context(), r.PathValue("address")))
	})
	mux.HandleFunc("POST /v1/accounts", func(w http.ResponseWriter, r *http.Request) {
		var in Account
		if decode(w, r, &in) {
			answer(w)(a.AddAccount(r.Context(), in))
		}
	})
	mux.HandleFunc("PATCH /v1/accounts/{address}", func(w http.ResponseWriter, r *http.Request) {
		var in AccountChange
		if decode(w, r, &in) {
			done(w, a.ChangeAccount(r.Context(), r.PathValue("address"), in))
		}
	})
	mux.HandleFunc("POST /v1/accounts/{address}/undelete", func(w http.ResponseWriter, r *http.Request) {
		var in Undelete
		if decode(w, r, &in) {
			answer(w)(a.Undelete(r.Context(), r.PathValue("address"), in))
		}
	})
	mux.HandleFunc("DELETE /v1/accounts/{address}", byName("address", a.DeleteAccount))
}

func sharingRoutes(mux *http.ServeMux, s Sharing) {
	mux.HandleFunc("GET /v1/accounts/{address}/acl", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.MailboxACL(r.Context(), r.PathValue("address"), r.URL.Query().Get("mailbox")))
	})
	mux.HandleFunc("POST /v1/accounts/{address}/acl", func(w http.ResponseWriter, r *http.Request) {
		var in GrantChange
		if decode(w, r, &in) {
			done(w, s.ChangeMailboxACL(r.Context(), r.PathValue("address"), in))
		}
	})
}

func aliasRoutes(mux *http.ServeMux, a Aliases) {
	mux.HandleFunc("GET /v1/aliases", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(a.Aliases(r.Context()))
	})
	mux.HandleFunc("POST /v1/aliases", put(a.PutAlias))
	mux.HandleFunc("DELETE /v1/aliases/{address}", byName("address", a.DeleteAlias))
}

func banRoutes(mux *http.ServeMux, b Bans) {
	mux.HandleFunc("GET /v1/bans", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(b.Bans(r.Context()))
	})
	mux.HandleFunc("POST /v1/bans", put(b.AddBan))
	mux.HandleFunc("DELETE /v1/bans/{network}", byName("network", b.LiftBan))
}

func settingRoutes(mux *http.ServeMux, s Settings) {
	mux.HandleFunc("GET /v1/settings", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.Settings(r.Context()))
	})
	mux.HandleFunc("PUT /v1/settings/{name}", func(w http.ResponseWriter, r *http.Request) {
		var in Setting
		if decode(w, r, &in) {
			done(w, s.Set(r.Context(), r.PathValue("name"), in.Value))
		}
	})
}

func tokenRoutes(mux *http.ServeMux, t Tokens) {
	mux.HandleFunc("POST /v1/tokens", func(w http.ResponseWriter, r *http.Request) {
		var in JoinTokenRequest
		if !decode(w, r, &in) {
			return
		}
		if in.TTLSeconds < 60 || in.TTLSeconds > 7*24*3600 {
			fail(w, fmt.Errorf("%w: a token lives between one minute and seven days", errBadRequest))
			return
		}
		answer(w)(t.CreateJoinToken(r.Context(), time.Duration(in.TTLSeconds)*time.Second))
	})
	mux.HandleFunc("GET /v1/api-tokens", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(t.APITokens(r.Context()))
	})
	mux.HandleFunc("POST /v1/api-tokens", func(w http.ResponseWriter, r *http.Request) {
		var in APIToken
		if decode(w, r, &in) {
			answer(w)(t.CreateAPIToken(r.Context(), in))
		}
	})
	mux.HandleFunc("DELETE /v1/api-tokens/{id}", byName("id", t.DeleteAPIToken))
}

func nodeRoutes(mux *http.ServeMux, n Nodes) {
	mux.HandleFunc("GET /v1/nodes", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(n.Nodes(r.Context()))
	})
	mux.HandleFunc("POST /v1/nodes/{id}/drain", byName("id", func(ctx context.Context, id string) error {
		return n.DrainNode(ctx, id, true)
	}))
	mux.HandleFunc("POST /v1/nodes/{id}/resume", byName("id", func(ctx context.Context, id string) error {
		return n.DrainNode(ctx, id, false)
	}))
	mux.HandleFunc("DELETE /v1/nodes/{id}", byName("id", n.RemoveNode))
}

// put handles a request whose body is a T and whose answer is empty.
func put[T any](f func(context.Context, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		if decode(w, r, &in) {
			done(w, f(r.Context(), in))
		}
	}
}

// byName handles a request that has nothing but a name in its path.
func byName(key string, f func(context.Context, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { done(w, f(r.Context(), r.PathValue(key))) }
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		fail(w, fmt.Errorf("%w: the request's JSON: %v", errBadRequest, err))
		return false
	}
	return true
}

// answer returns a function that sends a value or an error, in the shape of a call's results.
func answer(w http.ResponseWriter) func(v any, err error) {
	return func(v any, err error) {
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // the client went away: nobody is left to tell
	}
}

func done(w http.ResponseWriter, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func fail(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statusOf(err))
	_ = json.NewEncoder(w).Encode(failure{Error: err.Error()})
}

// statusOf is the HTTP status (RFC 9110, section 15) of an error.
func statusOf(err error) int {
	for _, row := range []struct {
		err    error
		status int
	}{
		{errUnauthorised, http.StatusUnauthorized},
		{errBadRequest, http.StatusBadRequest},
		{directory.ErrInvalid, http.StatusBadRequest},
		{setting.ErrInvalid, http.StatusBadRequest},
		{directory.ErrNotFound, http.StatusNotFound},
		{directory.ErrNoDomain, http.StatusNotFound},
		{directory.ErrNoUser, http.StatusNotFound},
		{directory.ErrExists, http.StatusConflict},
		{directory.ErrConflict, http.StatusConflict},
		{directory.ErrInUse, http.StatusConflict},
		{cluster.ErrStorageFull, http.StatusInsufficientStorage},
		{cluster.ErrUnavailable, http.StatusServiceUnavailable},
		{cluster.ErrNotLeader, http.StatusServiceUnavailable},
		{cluster.ErrStopped, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, row.err) {
			return row.status
		}
	}
	return http.StatusInternalServerError
}
