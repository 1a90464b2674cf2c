// Package sorter says what the outcome of a recipient's script (mta/sieve) means as deliveries: copies in mailboxes, messages that are
// sent on, and what is answered. It decides what a script may not: to whom nothing is sent back, what has come round, and how often
// somebody is answered. It does nothing of it; all of it happens in the step that delivers the message (mta/queue).
//
// Each thing that is done has a key that is the same when the message comes again, or by another node, so that it is done once.
package sorter

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/plan"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/sieve"
)

// maxReceived is how many Received fields a message may have that is sent on: what comes round comes round more often than others.
const maxReceived = 25

// onceFor is for how long something is remembered that a message causes once: as long as a message that comes again is found out.
const onceFor = 24 * time.Hour

// Case is a message and the account that it is sorted for.
type Case struct {
	Account  index.AccountID
	Own      string // the account's address
	ID       mta.ID // of the transaction
	Envelope mta.Envelope
	To       mta.Recipient
	Hostname string
	Now      time.Time
	Header   []byte // of the message
	// Identity tells the message from others wherever and whenever it comes: 32 octets.
	Identity [sha256.Size]byte
	NewID    func() mta.ID
	// Keep is the copy that is meant where the script does not say otherwise.
	Keep plan.Copy
	// Exists tells whether the account has a mailbox; nil: that is not known, and all do.
	Exists func(mailbox string) bool
	// Known tells whether the account remembers a key, as its notes and answers have them; nil: it remembers none.
	Known func(key []byte) bool
	// Alone says that the sender can be told of a refusal in the reply. Where not, he is by mail.
	Alone bool
	// Answers says that the sender may be sent something: what comes from who knows whom, or is junk, is not answered.
	Answers bool
}

// Result is what becomes of the message.
type Result struct {
	Copies  []plan.Copy
	Sends   []queue.Submission // the message, sent on
	Others  []Other
	Answers []Answer
	Notes   []Note
	Refuse  *mta.Reply // to the sender; there is nothing else then
	Told    []string   // what was not done as the script said, and why
}

// Other is the message with another text.
type Other struct {
	Text   *sieve.Text
	Copies []plan.Copy
	Sends  []queue.Submission
}

// Answer is a message that is sent once for a time.
type Answer struct {
	Key   []byte // 16 octets
	Until time.Time
	Text  []byte
	Send  queue.Submission
	Copy  *plan.Copy // that the account keeps; nil: none
}

// Note is a key that is remembered.
type Note struct {
	Key   []byte // 16 octets
	Until time.Time
}

// Sort says what an outcome means.
func Sort(c Case, o *sieve.Outcome) Result {
	s := &sorter{c: c}
	if o.Reject != nil && !s.reject(o.Reject) {
		return s.out
	}
	for _, f := range o.Filings {
		s.file(f)
	}
	for _, r := range o.Redirects {
		s.redirect(r)
	}
	if o.Vacation != nil {
		s.vacation(o.Vacation)
	}
	for i := range o.Notices {
		s.notify(&o.Notices[i])
	}
	for _, d := range o.Remember {
		s.out.Notes = append(s.out.Notes, Note{Key: DuplicateKey(d.Key), Until: c.Now.Add(d.For)})
	}
	return s.out
}

// DuplicateKey is under what a key of a Duplicate is remembered.
func DuplicateKey(key string) []byte { return digest("duplicate", key) }

// IdentityOf tells messages apart by all of their octets.
func IdentityOf(text io.Reader) (id [sha256.Size]byte, err error) {
	h := sha256.New()
	if _, err := io.Copy(h, text); err != nil {
		return id, fmt.Errorf("read a message: %w", err)
	}
	h.Sum(id[:0])
	return id, nil
}

// digest is a key of what it is about.
func digest(words ...string) []byte {
	h := sha256.New()
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s", len(w), w)
	}
	return h.Sum(nil)[:keys.DedupKeySize]
}

type sorter struct {
	c   Case
	out Result
}

func (s *sorter) tell(format string, args ...any) {
	s.out.Told = append(s.out.Told, fmt.Sprintf(format, args...))
}

// key is that of something that this message causes for the account.
func (s *sorter) key(words ...string) []byte {
	return digest(append(words, fmt.Sprint(uint64(s.c.Account)), hex.EncodeToString(s.c.Identity[:]))...)
}

// file puts the message into a mailbox.
func (s *sorter) file(f sieve.Filing) {
	copy := s.copyOf(f)
	if f.Text != nil {
		o := s.other(f.Text)
		copy.DedupKey = s.key("other", fmt.Sprint(len(s.out.Others)), fmt.Sprint(len(o.Copies)))
		o.Copies = append(o.Copies, copy)
		return
	}
	if slices.ContainsFunc(s.out.Copies, func(c plan.Copy) bool { return c.Mailbox == copy.Mailbox }) {
		return
	}
	if n := len(s.out.Copies); n > 0 { // the first has the key of every delivery
		copy.DedupKey = s.key("copy", fmt.Sprint(n))
	}
	s.out.Copies = append(s.out.Copies, copy)
}

// other finds, or makes, the part of the result that has a text.
func (s *sorter) other(text *sieve.Text) *Other {
	for i := range s.out.Others {
		if s.out.Others[i].Text == text {
			return &s.out.Others[i]
		}
	}
	s.out.Others = append(s.out.Others, Other{Text: text})
	return &s.out.Others[len(s.out.Others)-1]
}

// copyOf is the copy that a filing makes. One into a mailbox that is not there goes where the message would go without a script.
func (s *sorter) copyOf(f sieve.Filing) plan.Copy {
	copy := plan.Copy{Mailbox: f.Mailbox}
	missing := s.missing(f)
	if f.Implicit || missing {
		copy = plan.Copy{Mailbox: s.c.Keep.Mailbox, Flags: s.c.Keep.Flags, Keywords: slices.Clone(s.c.Keep.Keywords)}
	}
	if missing && !f.Implicit {
		s.tell("there is no mailbox %q", f.Mailbox)
	}
	if copy.Mailbox == "" {
		copy.Mailbox = index.Inbox
	}
	addFlags(&copy, f.Flags)
	return copy
}

// missing reports whether a filing is into a mailbox that is not there and is not to be made.
func (s *sorter) missing(f sieve.Filing) bool {
	return !f.Create && s.c.Exists != nil && f.Mailbox != index.Inbox && !s.c.Exists(f.Mailbox)
}

// addFlags gives a copy flags as a script has them: \Seen and the like, and keywords.
func addFlags(c *plan.Copy, flags []string) {
	for _, f := range flags {
		switch strings.ToLower(f) {
		case `\seen`:
			c.Flags |= index.FlagSeen
		case `\answered`:
			c.Flags |= index.FlagAnswered
		case `\flagged`:
			c.Flags |= index.FlagFlagged
		case `\deleted`:
			c.Flags |= index.FlagDeleted
		case `\draft`:
			c.Flags |= index.FlagDraft
		default:
			if keyword(f) && len(c.Keywords) < index.MaxKeywords && !slices.ContainsFunc(c.Keywords, func(k string) bool { return strings.EqualFold(k, f) }) {
				c.Keywords = append(c.Keywords, f)
			}
		}
	}
}

// keyword reports whether a text is one (RFC 9051, section 9, flag-keyword).
func keyword(s string) bool {
	return s != "" && len(s) <= index.MaxKeyword && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r)
	})
}
