package smtpd

import (
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
)

// transaction is one message from MAIL to its reply (RFC 5321, section 3.3).
type transaction struct {
	id       mta.ID
	env      mta.Envelope
	rcpts    []recipient
	started  time.Time
	received time.Time // the last octet so far
	arriving *arrival  // the message, from DATA or the first BDAT on
}

// recipient is an accepted recipient with the accounts behind it.
type recipient struct {
	mta.Recipient
	accounts []index.AccountID
	queued   bool // the queue delivers to it
}

// queued lists the recipients that the queue delivers to.
func (t *transaction) queued() (list []mta.Recipient) {
	for _, r := range t.rcpts {
		if r.queued {
			list = append(list, r.Recipient)
		}
	}
	return list
}

// accounts lists the accounts of all recipients, each once, in the order of RCPT.
func (t *transaction) accounts() []index.AccountID {
	var list []index.AccountID
	seen := make(map[index.AccountID]bool)
	for _, r := range t.rcpts {
		for _, id := range r.accounts {
			if !seen[id] {
				seen[id] = true
				list = append(list, id)
			}
		}
	}
	return list
}

// discard drops what has arrived and was not delivered.
func (t *transaction) discard() {
	if t.arriving != nil {
		t.arriving.discard()
	}
}
