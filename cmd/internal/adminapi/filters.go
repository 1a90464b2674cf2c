package adminapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Filters are the programs that judge mail that comes in.
type Filters interface {
	Filters(ctx context.Context) ([]Filter, error)
	AddFilter(ctx context.Context, f NewFilter) error
	ChangeFilter(ctx context.Context, name string, c FilterChange) error
	DeleteFilter(ctx context.Context, name string) error
	// TestFilters asks them about a message that goes nowhere.
	TestFilters(ctx context.Context, t FilterTest) (FilterVerdict, error)
}

// Filter is one of them.
type Filter struct {
	Name     string  `json:"name"`
	Kind     string  `json:"kind"`    // milter, rspamd, spamd or clamd
	Address  string  `json:"address"` // host:port or unix:/path
	Order    uint32  `json:"order"`   // lower is asked first
	Seconds  float64 `json:"timeout_seconds"`
	Closed   bool    `json:"closed"` // without an answer mail is deferred; else it goes on
	Found    string  `json:"found"`  // refuse, junk or tag
	RefuseAt float64 `json:"refuse_at,omitempty"`
	Weight   float64 `json:"weight"`
	Most     int64   `json:"most"` // octets that it gets of a message
	Over     string  `json:"over"` // skip or head
	AtOnce   int     `json:"at_once"`
	User     string  `json:"user,omitempty"`
	Password bool    `json:"password,omitempty"` // it has one, which is never returned
	Paused   bool    `json:"paused,omitempty"`
	// Seen is what the answering node saw of it since it was set or the node began.
	Seen *FilterSeen `json:"seen,omitempty"`
}

// FilterSeen is what a node saw of a filter.
type FilterSeen struct {
	Asked     uint64    `json:"asked"`
	Failed    uint64    `json:"failed"` // times without an answer
	Bad       uint64    `json:"bad"`    // messages that it refused, deferred, or sent to Junk
	MeanMS    float64   `json:"mean_ms"`
	Answering bool      `json:"answering"`
	Last      string    `json:"last_failure,omitempty"`
	LastTime  time.Time `json:"last_failure_time,omitzero"`
}

// NewFilter is one to add. What is not set is as it is best for its kind.
type NewFilter struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	FilterChange
}

// FilterChange changes what is set in it.
type FilterChange struct {
	Address  *string  `json:"address,omitempty"`
	Order    *uint32  `json:"order,omitempty"`
	Seconds  *float64 `json:"timeout_seconds,omitempty"`
	Closed   *bool    `json:"closed,omitempty"`
	Found    *string  `json:"found,omitempty"`
	RefuseAt *float64 `json:"refuse_at,omitempty"`
	Weight   *float64 `json:"weight,omitempty"`
	Most     *int64   `json:"most,omitempty"`
	Over     *string  `json:"over,omitempty"`
	AtOnce   *int     `json:"at_once,omitempty"`
	User     *string  `json:"user,omitempty"`
	Password *string  `json:"password,omitempty"`
	Paused   *bool    `json:"paused,omitempty"`
}

// FilterTest is a message to ask filters about, as if a client had brought it.
type FilterTest struct {
	Text   []byte   `json:"text"`
	Only   string   `json:"only,omitempty"` // the name of one filter, paused or not; empty: all that are not paused
	Client string   `json:"client,omitempty"`
	Name   string   `json:"name,omitempty"` // of the client's address
	Hello  string   `json:"hello,omitempty"`
	Login  string   `json:"login,omitempty"`
	From   string   `json:"from,omitempty"`
	To     []string `json:"to,omitempty"`
}

// FilterVerdict is what they said.
type FilterVerdict struct {
	Filters []FilterSaid `json:"filters"`
	Virus   string       `json:"virus,omitempty"`
	Changed string       `json:"changed_header,omitempty"` // the header as the last one left it
	Refused []string     `json:"refused,omitempty"`        // recipients, with the reply
	Removed []string     `json:"removed,omitempty"`
}

// FilterSaid is what one said.
type FilterSaid struct {
	Name     string          `json:"name"`     // kind:name
	Verdict  string          `json:"verdict"`  // pass, junk, virus, closed, or a reply
	Findings []FilterFinding `json:"findings"` // at least one
}

// FilterFinding is a line of it.
type FilterFinding struct {
	Result string  `json:"result"`
	Score  float64 `json:"score"`
	Detail string  `json:"detail,omitempty"`
}

// maxFilterTest is how long a message to test may be, as it is sent here.
const maxFilterTest = 96 << 20

// filterPlaceRoutes set where messages are shown: whoever may do that reads all mail that comes in.
func filterPlaceRoutes(mux *http.ServeMux, x Filters) {
	mux.HandleFunc("POST /v1/filters", put(x.AddFilter))
	mux.HandleFunc("PATCH /v1/filters/{name}", func(w http.ResponseWriter, r *http.Request) {
		var in FilterChange
		if decode(w, r, &in) {
			done(w, x.ChangeFilter(r.Context(), r.PathValue("name"), in))
		}
	})
}

func filterRoutes(mux *http.ServeMux, x Filters) {
	mux.HandleFunc("GET /v1/filters", func(w http.ResponseWriter, r *http.Request) { answer(w)(x.Filters(r.Context())) })
	mux.HandleFunc("DELETE /v1/filters/{name}", byName("name", x.DeleteFilter))
	mux.HandleFunc("POST /v1/filters-test", func(w http.ResponseWriter, r *http.Request) {
		var in FilterTest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxFilterTest)).Decode(&in); err != nil {
			fail(w, fmt.Errorf("%w: %w", errBadRequest, err))
			return
		}
		answer(w)(x.TestFilters(r.Context(), in))
	})
}
