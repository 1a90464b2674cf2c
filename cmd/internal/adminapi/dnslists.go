package adminapi

import (
	"context"
	"net/http"
	"time"
)

// DNSLists are the lists of addresses that clients of port 25 are looked up in.
type DNSLists interface {
	DNSLists(ctx context.Context) ([]DNSList, error)
	PutDNSList(ctx context.Context, l DNSList) error
	DeleteDNSList(ctx context.Context, zone string) error
	// TestDNSLists asks all lists about an address.
	TestDNSLists(ctx context.Context, address string) ([]DNSListAnswer, error)
}

// DNSList is one list, with what it did for the node that answers since that began.
type DNSList struct {
	Zone      string    `json:"zone"`
	Codes     string    `json:"codes"` // what its answers are worth: 127.0.0.2=3 127.0.0.0/24=1 &4=2
	Off       bool      `json:"off,omitempty"`
	Asked     uint64    `json:"asked,omitempty"`
	Listed    uint64    `json:"listed,omitempty"`
	Failed    uint64    `json:"failed,omitempty"`  // DNS gave no answer
	Refused   uint64    `json:"refused,omitempty"` // it does not answer us, or is no list
	RefusedAt time.Time `json:"refused_at,omitzero"`
}

// DNSListAnswer is what a list says of an address.
type DNSListAnswer struct {
	Zone   string   `json:"zone"`
	Name   string   `json:"name"` // that was asked for
	Codes  []string `json:"codes,omitempty"`
	Score  float64  `json:"score"`
	Result string   `json:"result"` // listed, not listed, refused, or no answer
}

func dnsListRoutes(mux *http.ServeMux, d DNSLists) {
	mux.HandleFunc("GET /v1/dns-lists", func(w http.ResponseWriter, r *http.Request) { answer(w)(d.DNSLists(r.Context())) })
	mux.HandleFunc("POST /v1/dns-lists", put(d.PutDNSList))
	mux.HandleFunc("DELETE /v1/dns-lists/{zone}", byName("zone", d.DeleteDNSList))
	mux.HandleFunc("GET /v1/dns-lists-test/{address}", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(d.TestDNSLists(r.Context(), r.PathValue("address")))
	})
}
