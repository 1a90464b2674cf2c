// Package plan has the words for what becomes of a message for an account: which mailboxes get it, with which flags, and what else
// is done in the same step. What makes plans are judgement and scripts; what carries them out are the doors.
package plan

import (
	"io"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/mta"
)

// Plan is what becomes of a message for one account. Nil is a copy in INBOX.
type Plan struct {
	// Copies are those that the account keeps; none: it keeps nothing, and the message counts as delivered.
	Copies []Copy
	// Also is done in the step that delivers the message, in the account's partition, whether there are copies or not.
	Also []*access.Also
	// Others are the message with other texts. They come before the rest of the plan, which is left out where one of them fails.
	Others []Other
	// Refuse is the reply to a sender whose only recipient the account is; nil takes the message.
	Refuse *mta.Reply
}

// Other is a message with another text for the account.
type Other struct {
	Text   func() io.Reader // from its first octet, at each call
	Copies []Copy
	Also   []*access.Also
}

// Copy is one that the account keeps.
type Copy struct {
	Mailbox  string // created where missing; empty is INBOX
	Flags    index.Flags
	Keywords []string
	// DedupKey is under what a second delivery of the copy is found out; nil: by message, recipient and content.
	DedupKey []byte
}
