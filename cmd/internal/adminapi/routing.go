package adminapi

import (
	"context"
	"net/http"
	"time"
)

// Routing is how mail to other domains leaves: by which hosts, and out of which addresses.
type Routing interface {
	Routes(ctx context.Context) ([]Route, error)
	PutRoute(ctx context.Context, r Route) error
	DeleteRoute(ctx context.Context, name string) error
	// TestRoute says how a sender's mail to a recipient would leave now.
	TestRoute(ctx context.Context, t RouteTest) (RouteWay, error)
	Egresses(ctx context.Context) ([]Egress, error)
	PutEgress(ctx context.Context, e Egress) error
	DeleteEgress(ctx context.Context, address string) error
	// PauseEgress stops mail from leaving by an address, or lets it.
	PauseEgress(ctx context.Context, address string, pause bool) error
	// UnblockEgress forgets that a receiver blocks an address.
	UnblockEgress(ctx context.Context, address, site string) error
	Sites(ctx context.Context) ([]Site, error)
}

// Route sends some mail by hosts that are not its domain's. Password is only ever sent, never returned.
type Route struct {
	Name       string   `json:"name"`
	Order      uint32   `json:"order"` // lower is asked first
	Recipients []string `json:"recipients"`
	Senders    []string `json:"senders,omitempty"`
	Hosts      []string `json:"hosts,omitempty"` // none: those of the domain
	Username   string   `json:"username,omitempty"`
	Password   string   `json:"password,omitempty"`
	TLS        string   `json:"tls"` // may, encrypt or verify
	Egress     []string `json:"egress,omitempty"`
}

// RouteTest is a message that is thought of.
type RouteTest struct {
	Sender    string `json:"sender"` // empty: the null sender
	Recipient string `json:"recipient"`
}

// RouteWay is how it would leave.
type RouteWay struct {
	Route   string      `json:"route,omitempty"` // empty: no route is for it
	Hosts   []string    `json:"hosts"`
	TLS     string      `json:"tls,omitempty"`
	Site    string      `json:"site"`
	Problem string      `json:"problem,omitempty"` // why the hosts are not known
	Egress  []RouteFrom `json:"egress"`            // in no order: one is drawn by weight
}

// RouteFrom is an address that it may leave by, and why it would not just now.
type RouteFrom struct {
	Address string `json:"address"` // or the node, where no addresses are configured
	Node    string `json:"node"`
	Why     string `json:"why,omitempty"`
}

// Egress is an address that mail leaves by.
type Egress struct {
	Address  string        `json:"address"`
	Node     string        `json:"node"`
	Hello    string        `json:"hello,omitempty"` // in EHLO; empty: the node's own name
	Weight   uint32        `json:"weight"`
	Paused   bool          `json:"paused,omitempty"`
	WarmUp   string        `json:"warm_up,omitempty"`   // to set: default, none, or messages a day apart by commas; empty keeps
	WarmFrom time.Time     `json:"warm_from,omitzero"`  // its first day; to set: zero is today
	WarmDay  int           `json:"warm_day,omitempty"`  // of the plan, from 1; 0: it is warm
	WarmDays int           `json:"warm_days,omitempty"` // of the plan
	Today    uint32        `json:"today,omitempty"`     // messages to each receiver
	Volumes  []EgressSent  `json:"volumes,omitempty"`   // today, of a warm-up
	Blocks   []EgressBlock `json:"blocks,omitempty"`
}

// EgressSent is how much of a day's messages to a receiver is given out.
type EgressSent struct {
	Site  string `json:"site"`
	Taken uint64 `json:"taken"`
}

// EgressBlock is a receiver that blocks an address.
type EgressBlock struct {
	Site  string    `json:"site"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // nothing is sent before
	Times uint32    `json:"times"` // in a row
	Reply string    `json:"reply"`
}

// Site is a receiver as one node knows it.
type Site struct {
	Site        string    `json:"site"` // the domain of its hosts
	Node        string    `json:"node"`
	Attempts    int       `json:"attempts"`       // that go on
	Most        int       `json:"most"`           // that may, as learned
	Rate        int       `json:"rate,omitempty"` // messages a minute that it is sent at most
	ClosedUntil time.Time `json:"closed_until,omitzero"`
	Failures    int       `json:"failures,omitempty"` // in a row
	Last        string    `json:"last,omitempty"`     // what went wrong last
	Delivered   uint64    `json:"delivered"`          // recipients, since the node began
	Deferred    uint64    `json:"deferred"`
	Failed      uint64    `json:"failed"`
	Waiting     uint64    `json:"waiting"` // recipients
}

func routingRoutes(mux *http.ServeMux, x Routing) {
	mux.HandleFunc("GET /v1/routes", func(w http.ResponseWriter, r *http.Request) { answer(w)(x.Routes(r.Context())) })
	mux.HandleFunc("POST /v1/routes", put(x.PutRoute))
	mux.HandleFunc("DELETE /v1/routes/{name}", byName("name", x.DeleteRoute))
	mux.HandleFunc("POST /v1/routes-test", func(w http.ResponseWriter, r *http.Request) {
		var in RouteTest
		if decode(w, r, &in) {
			answer(w)(x.TestRoute(r.Context(), in))
		}
	})
	mux.HandleFunc("GET /v1/egress", func(w http.ResponseWriter, r *http.Request) { answer(w)(x.Egresses(r.Context())) })
	mux.HandleFunc("POST /v1/egress", put(x.PutEgress))
	mux.HandleFunc("DELETE /v1/egress/{address}", byName("address", x.DeleteEgress))
	mux.HandleFunc("POST /v1/egress/{address}/pause", byName("address", func(ctx context.Context, a string) error { return x.PauseEgress(ctx, a, true) }))
	mux.HandleFunc("POST /v1/egress/{address}/resume", byName("address", func(ctx context.Context, a string) error { return x.PauseEgress(ctx, a, false) }))
	mux.HandleFunc("DELETE /v1/egress/{address}/blocks/{site}", func(w http.ResponseWriter, r *http.Request) {
		done(w, x.UnblockEgress(r.Context(), r.PathValue("address"), r.PathValue("site")))
	})
	mux.HandleFunc("GET /v1/sites", func(w http.ResponseWriter, r *http.Request) { answer(w)(x.Sites(r.Context())) })
}
