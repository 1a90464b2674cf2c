// Package access holds the words in which servers and the mail store speak of reading and changing
// mail: requests, results and views. They stand apart from index/mailstore, which answers them, so that
// the deciding code of servers (imapd/engine) can use them without knowing who answers.
package access

import (
	"io"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Target is one place that a message is delivered to.
type Target struct {
	Account  index.AccountID
	Address  string // the envelope recipient; a second delivery to it of the same message is found out
	Mailbox  string // made where missing; empty is INBOX
	Flags    index.Flags
	Keywords []string // those that the mailbox has no room for are left out
	DedupKey []byte   // under which a second delivery is found out; nil: DedupKey of Address and the message
}

// Delivery says where a message goes.
type Delivery struct {
	Targets  []Target
	Received time.Time // becomes the internal date; zero is now
	Also     []*Also   // in their order
	Around   *Around   // nil: nothing
}

// Around has what each partition gets of a delivery travel in a command that says more of it than index knows (mta/queue).
type Around struct {
	// Wrap makes the command. k and p are those of the delivery, an *indexpb.DeliverCommand, or what Also made of it; to are
	// its targets, id is as for Also. It may return them as they are.
	Wrap func(k command.Kind, p Payload, id string, to []Target) (command.Kind, Payload)
	// Unwrap reads the result where there was no Also, as Also.Unwrap.
	Unwrap func(result []byte) (*indexpb.Result, error)
}

// Also is something that is done with the message in the same step as its delivery in one partition, whether there
// are targets in that or not: a command that has the delivery in it (mta/queue).
type Also struct {
	Account index.AccountID // whose partition it is
	// Wrap makes the command. p is that of the delivery, an *indexpb.DeliverCommand, or what those before it in the same
	// partition made of it. id is the Message-ID of the message, "" without one. It may be called more than once.
	Wrap func(k command.Kind, p Payload, id string) (command.Kind, Payload)
	// Unwrap reads its result: of the delivery, whose code is the whole command's. Of several in a partition that of the last is called.
	Unwrap func(result []byte) (*indexpb.Result, error)
}

// Payload is what a command carries.
type Payload interface {
	SizeVT() int
	MarshalVT() ([]byte, error)
}

// Outcome is what became of one target.
type Outcome struct {
	// Err is nil where the message is in the mailbox: index.ErrOverQuota, index.ErrInvalidName,
	// index.ErrNoAccount, cluster.ErrUnavailable, cluster.ErrStorageFull, or the context's.
	Err         error
	UID         index.UID
	UIDValidity uint32
	Duplicate   bool // it was there already: the same message, recipient and content in 24 hours
}

// AppendOptions are the arguments of APPEND (RFC 9051, section 6.3.12).
type AppendOptions struct {
	Flags        index.Flags
	Keywords     []string
	InternalDate time.Time // zero is now
}

// View is what a session needs to select a mailbox, all of one moment.
type View struct {
	Mailbox     index.Mailbox
	UIDs        *uidset.Set // the caller's own
	FirstUnseen index.UID   // the lowest UID without \Seen, 0 where there is none
}

// Changes is what happened in a mailbox after a modification sequence.
type Changes struct {
	Mailbox  index.Mailbox
	Changed  *uidset.Set // new, or with other flags; nil is none
	Vanished *uidset.Set
}

// FlagOp says what STORE does with the flags it names.
type FlagOp int

// The ways of STORE (RFC 9051, section 6.4.6).
const (
	Set FlagOp = iota + 1
	Add
	Remove
)

// StoreRequest is a STORE. With UnchangedSince, messages whose modification sequence is above it
// are left alone (RFC 7162, section 3.1.3).
type StoreRequest struct {
	UIDs           *uidset.Set
	Op             FlagOp
	Flags          index.Flags
	Keywords       []string
	UnchangedSince *index.ModSeq
}

// StoreResult says what a STORE did.
type StoreResult struct {
	Changed  *uidset.Set  // whose flags are other than before
	Modified *uidset.Set  // refused by UnchangedSince
	ModSeq   index.ModSeq // of the account afterwards
}

// CopyResult pairs the UIDs of a COPY or MOVE (RFC 4315): walked side by side, From and To give as
// many UIDs each.
type CopyResult struct {
	UIDValidity uint32
	From, To    []index.UIDRange
}

// MetadataChange changes annotations (RFC 5464, section 4.3).
type MetadataChange struct {
	Mailbox    string // empty is the account
	User       index.AccountID
	Entries    []index.Annotation // without a value: to be removed
	SpecialUse *index.SpecialUse  // what the mailbox is for from now on
}

// MailboxAnnotation tells that there is an annotation, and since when.
type MailboxAnnotation struct {
	ID      index.MailboxID // 0 is the account
	Mailbox string
	Entry   string
	ModSeq  index.ModSeq
}

// Body reads a message's octets. It keeps the state of the moment it was opened, so that an expunge
// does not cut it short; it holds one chunk in memory. ReadAt is for one goroutine at a time.
type Body interface {
	Size() int64
	io.ReaderAt
	io.Closer
}

// Remote is a Body whose octets may have to be fetched from afar.
type Remote interface {
	Body
	// Ready fetches n octets from off on, at most the first 4 MiB of them, so that reading them soon
	// after does not fail; octets that are at hand cost nothing. Its errors are those of ReadAt.
	Ready(off, n int64) error
}

// Octets is a Body that is in memory; closing it does nothing.
type Octets []byte

var _ Body = Octets(nil)

// Size returns the number of octets.
func (o Octets) Size() int64 { return int64(len(o)) }

// ReadAt implements io.ReaderAt.
func (o Octets) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(o)) {
		return 0, io.EOF
	}
	n := copy(p, o[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close implements io.Closer.
func (o Octets) Close() error { return nil }

// Message is what is known of a message without opening its body. Envelope and Structure are decoded
// when asked for and share the memory of Encoded*, which is only valid where the Message was given.
type Message struct {
	UID          index.UID
	State        index.FlagState
	Size         uint64 // octets
	HeaderSize   uint64 // octets of the top header with its empty line
	InternalDate time.Time
	SaveDate     time.Time
	SentDate     time.Time // of the Date field; zero where absent or unreadable
	SentZone     int       // minutes east of UTC of the Date field
	BodyID       index.BodyID

	EncodedEnvelope  []byte // an indexpb.Envelope
	EncodedStructure []byte // an indexpb.Part
}

// Envelope decodes the envelope. An unreadable one is empty: it is wrong in all places alike, and the
// message itself can still be read.
func (m *Message) Envelope() *indexpb.Envelope {
	e := &indexpb.Envelope{}
	if e.UnmarshalVTUnsafe(m.EncodedEnvelope) != nil {
		return &indexpb.Envelope{}
	}
	return e
}

// Structure decodes the MIME structure, under the rules of Envelope.
func (m *Message) Structure() *indexpb.Part {
	p := &indexpb.Part{}
	if p.UnmarshalVTUnsafe(m.EncodedStructure) != nil {
		return &indexpb.Part{}
	}
	return p
}

// Shared is a mailbox of another account, and what one may do with it.
type Shared struct {
	Mailbox index.Mailbox
	Rights  index.Rights
}

// GrantChange changes the rights of one grantee on a mailbox (RFC 4314, section 3.1).
type GrantChange struct {
	Grantee index.AccountID // or index.Anyone
	Op      FlagOp
	Rights  index.Rights
	Gone    []index.AccountID // accounts that are no more: they lose their rights too
}
