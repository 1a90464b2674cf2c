package adminapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/rookery-mail/rookery/mta/inbound"
)

// Explainer decides about messages as if they came in, and delivers nothing.
type Explainer interface {
	Explain(ctx context.Context, q ExplainQuery) (Explanation, error)
}

// MaxExplained is the largest message that is explained, in octets.
const MaxExplained = 32 << 20

// ExplainQuery is a message, and how it is to be thought to come.
type ExplainQuery struct {
	Client  string    `json:"client"` // the address of the host that hands it over
	Helo    string    `json:"helo,omitempty"`
	TLS     bool      `json:"tls,omitempty"`
	From    string    `json:"from"` // of the envelope; empty is the null sender
	To      []string  `json:"to"`
	At      time.Time `json:"at,omitzero"` // when it came; zero: now
	Message []byte    `json:"message"`
}

// Explanation is what would become of it.
type Explanation struct {
	Refused    string      `json:"refused,omitempty"`   // the reply that would end it before it is handed over, and at which step
	Unchecked  bool        `json:"unchecked,omitempty"` // the client is in a network that is not checked
	Reply      string      `json:"reply,omitempty"`     // that the message would get; empty: it is taken
	Fields     string      `json:"fields,omitempty"`    // that are put in front of it
	Recipients []Explained `json:"recipients"`
	Notes      []string    `json:"notes,omitempty"` // what is not the same as it would be
}

// Explained is what would become of it for one of those it is for.
type Explained struct {
	Recipient string            `json:"recipient"`
	Account   string            `json:"account,omitempty"` // empty: it is sent on elsewhere
	Action    string            `json:"action"`            // accept, junk, defer, refuse
	Score     float64           `json:"score"`
	Rule      string            `json:"rule"` // that decided
	Reply     string            `json:"reply,omitempty"`
	Findings  []inbound.Finding `json:"findings"`
	Mailboxes []string          `json:"mailboxes,omitempty"` // that would get a copy
	Script    []inbound.Finding `json:"script,omitempty"`    // what a script did
	Tokens    []Token           `json:"tokens,omitempty"`    // that the classifier went by
}

// Token is a word of a message as the classifier knows it.
type Token struct {
	Text        string  `json:"text"`
	Spam        uint32  `json:"spam"` // messages that had it
	Ham         uint32  `json:"ham"`
	Probability float64 `json:"probability"` // of spam
	Of          string  `json:"of"`          // account or cluster
}

func explainRoutes(mux *http.ServeMux, x Explainer) {
	mux.HandleFunc("POST /v1/explain", func(w http.ResponseWriter, r *http.Request) {
		var q ExplainQuery
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 2*MaxExplained)) // base64 takes a third more
		dec.DisallowUnknownFields()
		if err := dec.Decode(&q); err != nil {
			fail(w, fmt.Errorf("%w: the request's JSON: %v", errBadRequest, err))
			return
		}
		answer(w)(x.Explain(r.Context(), q))
	})
}
