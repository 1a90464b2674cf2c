package adminapi

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Queue is the outbound queue of the whole cluster.
type Queue interface {
	// QueueList lists entries, the oldest first.
	QueueList(ctx context.Context, q QueueQuery) (QueueListing, error)
	// QueueEntry gives one entry with all of its open recipients.
	QueueEntry(ctx context.Context, id string) (QueueEntry, error)
	// QueueEdit does something to all entries that match.
	QueueEdit(ctx context.Context, e QueueEdit) (QueueEdited, error)
	// QueueSummary says what waits for which destination.
	QueueSummary(ctx context.Context, f QueueFilter) (QueueSummary, error)
}

// QueueFilter says which entries are meant: those that match all of it that is set. Of recipient, domain and error one open
// recipient has to match all.
type QueueFilter struct {
	IDs       []string `json:"ids,omitempty"`        // PARTITION-ENTRY
	Account   string   `json:"account,omitempty"`    // the address of whose doing it is
	Sender    string   `json:"sender,omitempty"`     // an address, * for any octets; <> is the null sender
	Recipient string   `json:"recipient,omitempty"`  // the same
	Domain    string   `json:"domain,omitempty"`     // the same, of a recipient
	OlderThan float64  `json:"older_than,omitempty"` // seconds
	NewerThan float64  `json:"newer_than,omitempty"` // seconds
	Error     string   `json:"error,omitempty"`      // a regular expression (RE2), on the last reply
	Held      bool     `json:"held,omitempty"`       // only what is held
	Header    string   `json:"header,omitempty"`     // "Subject: expression"
	Body      string   `json:"body,omitempty"`       // a regular expression, on the text parts
}

// QueueQuery asks for entries.
type QueueQuery struct {
	Filter QueueFilter `json:"filter"`
	Limit  int         `json:"limit"` // of the entries listed, up to 10,000; 0 is 100
}

// QueueListing is what was found.
type QueueListing struct {
	Entries  []QueueEntry `json:"entries"`
	Matched  int          `json:"matched"`            // of which Entries are the oldest
	Problems []string     `json:"problems,omitempty"` // partitions that did not answer, messages that could not be read
}

// QueueEntry is a message that waits.
type QueueEntry struct {
	ID          string           `json:"id"` // PARTITION-ENTRY
	Account     string           `json:"account"`
	Sender      string           `json:"sender"` // empty is the null sender
	Size        uint64           `json:"size"`   // octets
	Received    time.Time        `json:"received"`
	Expires     time.Time        `json:"expires"`
	Held        bool             `json:"held"`
	HeldWhy     string           `json:"held_why,omitempty"`
	ReturnedWhy string           `json:"returned_why,omitempty"` // an operator has it returned, as soon as its worker gets to it
	Transaction string           `json:"transaction"`            // id, as in Received fields and logs
	MessageID   string           `json:"message_id,omitempty"`
	Priority    int32            `json:"priority,omitempty"`
	RequireTLS  bool             `json:"require_tls,omitempty"`
	Open        int              `json:"open"`       // recipients that wait
	Total       int              `json:"total"`      // recipients it had
	Recipients  []QueueRecipient `json:"recipients"` // in a listing the first few that wait
}

// QueueRecipient is one that waits.
type QueueRecipient struct {
	Address     string        `json:"address"`
	Destination string        `json:"destination"`
	State       string        `json:"state"` // waiting, trying
	Due         time.Time     `json:"due,omitzero"`
	Attempts    uint32        `json:"attempts"`
	Last        *QueueAttempt `json:"last,omitempty"`
	ClosedUntil time.Time     `json:"closed_until,omitzero"` // the destination: nothing is tried before
	Failures    uint32        `json:"failures,omitempty"`    // attempts at the destination in a row that reached nobody
}

// QueueAttempt is what became of an attempt.
type QueueAttempt struct {
	At      time.Time `json:"at"`
	Node    string    `json:"node,omitempty"`
	Host    string    `json:"host,omitempty"`
	Address string    `json:"address,omitempty"`
	TLS     string    `json:"tls,omitempty"`
	Reply   string    `json:"reply"`
}

// QueueEdit does something to entries.
type QueueEdit struct {
	Action string      `json:"action"` // retry, hold, release, delete, bounce
	Filter QueueFilter `json:"filter"`
	All    bool        `json:"all,omitempty"` // an empty filter means all entries; without it, it is refused
	Why    string      `json:"why,omitempty"` // hold, bounce
	DryRun bool        `json:"dry_run,omitempty"`
}

// QueueEdited says what was done.
type QueueEdited struct {
	Matched  int      `json:"matched"`
	Changed  int      `json:"changed"`
	IDs      []string `json:"ids"` // of those that matched, the first 1,000
	Problems []string `json:"problems,omitempty"`
}

// QueueSummary is the queue by destination.
type QueueSummary struct {
	Destinations []QueueDestination `json:"destinations"` // where most wait first
	Entries      int                `json:"entries"`
	Held         int                `json:"held"` // entries
	Problems     []string           `json:"problems,omitempty"`
}

// QueueDestination is what waits for a domain.
type QueueDestination struct {
	Destination string    `json:"destination"`
	Waiting     int       `json:"waiting"` // recipients, with those that are being tried
	Held        int       `json:"held"`    // recipients of entries that are held
	Oldest      time.Time `json:"oldest"`  // entry
	Ages        [6]int    `json:"ages"`    // recipients of entries younger than 5 min, 30 min, 2 h, 8 h, 1 day, and older
	ClosedUntil time.Time `json:"closed_until,omitzero"`
	Failures    uint32    `json:"failures,omitempty"`
	LastError   string    `json:"last_error,omitempty"`
}

func queueRoutes(mux *http.ServeMux, q Queue) {
	mux.HandleFunc("POST /v1/queue/list", ask(q.QueueList))
	mux.HandleFunc("POST /v1/queue/summary", ask(q.QueueSummary))
	mux.HandleFunc("POST /v1/queue/edit", ask(q.QueueEdit))
	mux.HandleFunc("GET /v1/queue/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(q.QueueEntry(r.Context(), r.PathValue("id")))
	})
}

// closedQueue is the queue without what tells of the contents of messages: a token for the API reads no mail.
type closedQueue struct{ Queue }

func (q closedQueue) QueueList(ctx context.Context, in QueueQuery) (out QueueListing, err error) {
	if err := in.Filter.closed(); err != nil {
		return out, err
	}
	return q.Queue.QueueList(ctx, in)
}

func (q closedQueue) QueueEdit(ctx context.Context, in QueueEdit) (out QueueEdited, err error) {
	if err := in.Filter.closed(); err != nil {
		return out, err
	}
	return q.Queue.QueueEdit(ctx, in)
}

func (q closedQueue) QueueSummary(ctx context.Context, in QueueFilter) (out QueueSummary, err error) {
	if err := in.closed(); err != nil {
		return out, err
	}
	return q.Queue.QueueSummary(ctx, in)
}

// closed refuses a filter that looks into messages.
func (f QueueFilter) closed() error {
	if f.Header != "" || f.Body != "" {
		return fmt.Errorf("%w: header and body are matched only on a node's own socket, with `rookery queue`", errBadRequest)
	}
	return nil
}

// ask handles a request whose body is a T and whose answer is an A.
func ask[T, A any](f func(context.Context, T) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		if decode(w, r, &in) {
			answer(w)(f(r.Context(), in))
		}
	}
}
