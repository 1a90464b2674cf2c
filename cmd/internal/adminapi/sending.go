package adminapi

import (
	"context"
	"net/http"
	"time"
)

// Senders are the accounts as those who send to other domains.
type Senders interface {
	// HoldAccount has what an account sends to other domains wait, from now on.
	HoldAccount(ctx context.Context, address string, h SendingHold) error
	// ReleaseAccount ends that, whoever began it.
	ReleaseAccount(ctx context.Context, address string, r SendingRelease) (SendingReleased, error)
}

// Sending is what an account has sent to other domains lately, and whether it may.
type Sending struct {
	Held         bool      `json:"held"`
	Since        time.Time `json:"since,omitzero"`
	Why          string    `json:"why,omitempty"`
	Told         time.Time `json:"told,omitzero"`           // when the administrators were
	HeldMessages uint32    `json:"held_messages,omitempty"` // queued since it is held
	Messages     uint32    `json:"messages"`                // in the hour that is counted
	Recipients   uint32    `json:"recipients"`              // in the day that is counted, as what follows
	Strangers    uint32    `json:"strangers"`               // of the recipients, those that it never wrote to before
	Rejections   uint32    `json:"rejections"`              // refused by their hosts for good
}

// SendingHold says why an account is held.
type SendingHold struct {
	Why string `json:"why,omitempty"`
}

// SendingRelease says how an account is released.
type SendingRelease struct {
	DeleteHeld bool `json:"delete_held,omitempty"` // what waited is deleted, without reports, and not sent
}

// SendingReleased says what became of what waited.
type SendingReleased struct {
	Was     bool `json:"was"`     // the account was held
	Entries int  `json:"entries"` // messages that are sent now, or were deleted
}

func senderRoutes(mux *http.ServeMux, s Senders) {
	mux.HandleFunc("POST /v1/accounts/{address}/hold", func(w http.ResponseWriter, r *http.Request) {
		var in SendingHold
		if decode(w, r, &in) {
			done(w, s.HoldAccount(r.Context(), r.PathValue("address"), in))
		}
	})
	mux.HandleFunc("POST /v1/accounts/{address}/release", func(w http.ResponseWriter, r *http.Request) {
		var in SendingRelease
		if decode(w, r, &in) {
			answer(w)(s.ReleaseAccount(r.Context(), r.PathValue("address"), in))
		}
	})
}
