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
	received time.Time                      // the last octet so far
	arriving *arrival                       // the message, from DATA or the first BDAT on
	owner    index.AccountID                // in whose partition it is queued; 0 before the header is seen, or where nothing is
	verdict  Verdict                        // of the session, where there is one
	late     map[index.AccountID]bool       // who gets it by the queue, since his partition could not take it
	failed   map[index.AccountID]*mta.Reply // whose plan could not be begun
}

// recipient is an accepted recipient with the accounts behind it, and the addresses elsewhere that it leads to. One of another
// domain leads to itself.
type recipient struct {
	mta.Recipient
	accounts []index.AccountID
	remote   []string
	queued   bool // the queue delivers to all of it
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
