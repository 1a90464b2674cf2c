// Package plan has the words for what becomes of a message for an account: which mailboxes get it, with which flags, and what else
// is done in the same step. What makes plans are judgement and scripts; what carries them out are the doors.
package plan

import (
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
)

// Plan is what becomes of a message for one account. Nil is a copy in INBOX.
type Plan struct {
	// Copies are those that the account keeps; none: it keeps nothing, and the message counts as delivered.
	Copies []Copy
	// Refuse is the reply to a sender whose only recipient the account is; nil takes the message.
	Refuse *mta.Reply
}

// Copy is one that the account keeps.
type Copy struct {
	Mailbox  string // created where missing; empty is INBOX
	Flags    index.Flags
	Keywords []string
}
