// Package index holds the words for mail as Rookery keeps it: accounts, mailboxes, messages, flags
// and the numbers of IMAP (RFC 9051, section 2.3). A partition's replicated state is made of them
// (index/mailbox); servers reach it through index/mailstore. This package decides and stores nothing.
package index

import (
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// AccountID names one account; see cluster.AccountID.
type AccountID = cluster.AccountID

// MailboxID names one mailbox of an account through renames. A mailbox made anew under an old name
// has another id.
type MailboxID uint32

// UID is a message's unique identifier in a mailbox, ascending, never 0 (RFC 9051, section 2.3.1.1).
type UID uint32

// ModSeq is a modification sequence (RFC 7162). Rookery counts it per account: each command that
// changes something of an account gives all it changes the account's next value.
type ModSeq uint64

// BodyID names a body within its partition.
type BodyID uint64

// Flags are the system flags as bits (RFC 9051, section 2.3.2). The numbers are stored.
type Flags uint32

// The system flags.
const (
	FlagSeen Flags = 1 << iota
	FlagAnswered
	FlagFlagged
	FlagDeleted
	FlagDraft
)

// SpecialUse are the special-use attributes of a mailbox as bits (RFC 6154). The numbers are stored.
type SpecialUse uint32

// The special uses.
const (
	UseAll SpecialUse = 1 << iota
	UseArchive
	UseDrafts
	UseFlagged
	UseJunk
	UseSent
	UseTrash
	UseImportant // RFC 8457
)

// Inbox is the name of the mailbox that every account has.
const Inbox = "INBOX"

// The limits of keywords. The machine holds to them; they change only with a new command kind.
const (
	MaxKeywords = 200 // of a mailbox, over its life
	MaxKeyword  = 128 // octets
)

// Delimiter separates the levels of a mailbox name.
const Delimiter = '/'

// Mailbox is a mailbox with its counters, all of one moment.
type Mailbox struct {
	ID            MailboxID // 0 for a name that is only subscribed
	Owner         AccountID // where a door shows it to another: whose it is; else 0
	Name          string    // UTF-8
	UIDValidity   uint32
	UIDNext       UID
	HighestModSeq ModSeq
	Messages      uint32
	Unseen        uint32
	Deleted       uint32
	Bytes         uint64
	SpecialUse    SpecialUse
	Subscribed    bool
	Created       time.Time
	Keywords      []string // every keyword used in it so far
	KeyResets     uint32   // how often the key that its URLs are signed with was replaced or taken away
}

// FlagState is what of a message can change.
type FlagState struct {
	ModSeq   ModSeq
	System   Flags
	Keywords []string // as first written; compared without case
}

// Annotation is a metadata entry of a mailbox, of an account or of the server (RFC 5464, section 3.2).
type Annotation struct {
	Entry  string // in lower case, under /private/ or /shared/
	Value  []byte // nil is no such entry
	ModSeq ModSeq // when it was set; of the account, 0 for the server's
}

// Usage is an account's use of its quota and the limits; a limit of 0 is none.
type Usage struct {
	Bytes, Messages           uint64
	BytesLimit, MessagesLimit uint64
}

// UIDRange is Lo..Hi, both included.
type UIDRange struct{ Lo, Hi UID }

// Errors that doors act on; test with errors.Is. cluster.ErrUnavailable and cluster.ErrStorageFull
// come through as they are.
var (
	ErrNoMailbox       = errors.New("no such mailbox")
	ErrMailboxExists   = errors.New("mailbox already exists")
	ErrHasChildren     = errors.New("mailbox has children")
	ErrOverQuota       = errors.New("over quota")
	ErrGone            = errors.New("mailbox was deleted or made anew meanwhile")
	ErrTooManyKeywords = errors.New("too many keywords in this mailbox")
	ErrTooLarge        = errors.New("message is larger than allowed")
	ErrInvalidName     = errors.New("not a mailbox name")
	ErrNoMessage       = errors.New("no such message")
	ErrNoAccount       = errors.New("no such account")
	// ErrBodyAway says why it is cluster.ErrUnavailable: the octets are in an object store that does not give them.
	ErrBodyAway = errors.New("the message is in the object store, which does not give it now")
	// ErrStagingFull says that too many bodies wait for object storage. It is a cluster.ErrStorageFull.
	ErrStagingFull = fmt.Errorf("too much mail waits for the object store: %w", cluster.ErrStorageFull)
	// ErrTooManyAnnotations says that a mailbox has as many metadata entries as it may have.
	ErrTooManyAnnotations = errors.New("too many annotations")
)
