package adminapi

import (
	"context"
	"net/http"
	"time"
)

// Tracer tells what became of messages.
type Tracer interface {
	Trace(ctx context.Context, q TraceQuery) (Traces, error)
}

// TraceQuery asks for the stories of messages.
type TraceQuery struct {
	Name  string    `json:"name"`           // an address, a Message-ID, or the id of a mail transaction
	Since time.Time `json:"since,omitzero"` // of messages that came since; zero: all that is kept
	Limit int       `json:"limit"`          // of the messages, the latest; up to 500, 0 is 20
}

// Traces are messages with their stories, the latest first.
type Traces struct {
	Messages []Trace  `json:"messages"`
	Problems []string `json:"problems,omitempty"` // partitions that did not answer
}

// Trace is the story of a message.
type Trace struct {
	Transaction string       `json:"transaction"` // as in Received fields and logs
	MessageID   string       `json:"message_id,omitempty"`
	Sender      string       `json:"sender"` // empty is the null sender
	Recipients  []string     `json:"recipients"`
	Events      []TraceEvent `json:"events"`
	More        bool         `json:"more,omitempty"` // there are events that are not told
}

// TraceEvent is one step of it.
type TraceEvent struct {
	At        time.Time     `json:"at"`
	What      string        `json:"what"`                // received, stored, repeated, refused, queued, held, deferred, delivered, failed, reported, edited
	Partition uint16        `json:"partition"`           // that knows of it
	Recipient string        `json:"recipient,omitempty"` // empty: all
	Node      string        `json:"node,omitempty"`
	Client    string        `json:"client,omitempty"`  // received: by which door and from whom
	Login     string        `json:"login,omitempty"`   // received: who had logged in
	Checked   string        `json:"checked,omitempty"` // received: what the checks said
	Account   string        `json:"account,omitempty"` // stored, repeated, refused
	Mailbox   string        `json:"mailbox,omitempty"` // stored
	UID       uint32        `json:"uid,omitempty"`     // stored
	Entry     string        `json:"entry,omitempty"`   // queued, held: its id
	Attempt   *QueueAttempt `json:"attempt,omitempty"` // deferred, delivered, failed
	Text      string        `json:"text,omitempty"`
}

func traceRoutes(mux *http.ServeMux, t Tracer) {
	mux.HandleFunc("POST /v1/trace", ask(t.Trace))
}
