// Package sieve reads Sieve scripts (RFC 5228 and the extensions of Extensions) and runs them over one message. A run decides and does
// nothing: its Outcome says where the message is filed and what is sent, for others to do in one commit with the delivery.
//
// A run ends in bounded time and memory whatever the script and the message (Limits). It has no clock, no randomness and no network:
// the same Input gives the same Outcome.
package sieve

import (
	"errors"
	"io"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/sieve/letter"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// Error says where a script is wrong, or failed, and how: Line, Column (both from 1; 0 is no place) and Text.
type Error = syntax.Error

// ErrNoScript is what Scripts answers for a script that is not there.
var ErrNoScript = errors.New("no such script")

// Limits bound scripts and their runs. A field left zero has its default.
type Limits struct {
	Octets    int // of a script; default 256 KiB
	Nesting   int // of blocks and tests; default 32
	Actions   int // that file, send or refuse, in one run; default 32
	Redirects int // in one run; default 4
	Work      int // of a run, in octets compared or written and the like; default 20,000,000
	Variables int // default 128
	Variable  int // octets of a variable's value; default 4 KiB (RFC 5229, section 3)
	Regex     int // octets of a regular expression; default 1 KiB
	Includes  int // scripts included in one run; default 100
	Depth     int // of includes in each other; default 10
	Body      int // octets of decoded text that are looked at; default 1 MiB
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		p *int
		n int
	}{
		{&l.Octets, 256 << 10}, {&l.Nesting, 32}, {&l.Actions, 32}, {&l.Redirects, 4}, {&l.Work, 20_000_000}, {&l.Variables, 128},
		{&l.Variable, 4 << 10}, {&l.Regex, 1 << 10}, {&l.Includes, 100}, {&l.Depth, 10}, {&l.Body, 1 << 20},
	} {
		if *f.p <= 0 {
			*f.p = f.n
		}
	}
	return l
}

// Input is all that a run knows.
type Input struct {
	Text io.ReaderAt // the message as it came, without our trace fields
	Size int64       // octets of it
	// Front are fields that will stand in front of Text: our Received and what checks found. Tests see them; they stay as they are, and
	// are in no Text of the Outcome.
	Front []byte

	Envelope  Envelope
	Addresses []string // those of the owner, for vacation and notices; the first one is the owner's own
	// Delimiters are the characters of which each begins the detail of an address (RFC 5233); empty: no details.
	Delimiters  string
	Now         time.Time         // in the owner's time zone
	Environment map[string]string // items of RFC 5183 by name: domain, host, location, name, phase, remote-host, remote-ip, version

	Mailboxes Mailboxes // nil: none but INBOX
	Scripts   Scripts   // for include; nil: none
	// Seen tells whether the key of a Duplicate is remembered; nil: none is.
	Seen func(key string) bool

	Spam  Score // that the message is spam (RFC 5235): 0 surely not, 1 surely
	Virus Score // that it has a virus: 0 surely not, 1 surely
}

// Envelope is what the SMTP client said of the message and of the one recipient that the script is of.
type Envelope struct {
	From      string        // the reverse-path; empty is the null sender
	Recipient mta.Recipient // as RCPT had it
	Auth      string        // of the AUTH parameter of MAIL; empty where not known
	Return    mta.Return    // RFC 3461
	EnvID     string        // xtext, RFC 3461
	By        mta.By        // RFC 2852
}

// Score is a likelihood from 0 to 1; the zero Score is that nobody looked.
type Score struct {
	Known bool
	Value float64
}

// Mailboxes knows the owner's mailboxes.
type Mailboxes interface {
	// Exists tells whether a mailbox is there that mail can be put in. "INBOX" comes in capitals.
	Exists(name string) bool
	// ByID finds a mailbox by its MAILBOXID (RFC 8474).
	ByID(id string) (name string, ok bool)
	// BySpecialUse finds the mailbox of a use such as "\Junk" (RFC 6154); uses compare in any case.
	BySpecialUse(use string) (name string, ok bool)
}

// Location is where an included script is looked for (RFC 6609, section 3.2).
type Location uint8

// The locations.
const (
	Personal Location = iota // the owner's scripts
	Global                   // those of the site
)

// Scripts finds what a script includes.
type Scripts interface {
	// Script gives a compiled script; the error is ErrNoScript, or an *Error of Compile, or that of reading it. A run asks for each
	// script once.
	Script(where Location, name string) (*Script, error)
}

// Outcome is what a run wants done. Where the run failed it is one implicit Filing and nothing else.
type Outcome struct {
	Filings   []Filing   // in order, at most one for each mailbox; none: the message is not stored
	Redirects []Redirect // in order, at most one for each address
	Reject    *Rejection // nil: not refused
	Vacation  *Vacation  // nil: no answer is due
	Notices   []Notice
	Remember  []Duplicate // keys to be remembered once all of the above is done
	Trace     []Step      // what happened, for people
}

// Discarded tells that the message is neither stored nor sent on nor refused.
func (o *Outcome) Discarded() bool {
	return len(o.Filings) == 0 && len(o.Redirects) == 0 && o.Reject == nil
}

// Text is a message that a script changed; see letter.Text for how it is read.
type Text = letter.Text

// Filing puts the message into a mailbox.
type Filing struct {
	Mailbox    string   // "INBOX" in capitals, else as it is called; a mailbox asked for by id or use was found already
	Create     bool     // the mailbox is made where it is not there (RFC 5490, section 3.2)
	SpecialUse string   // the use that it is made with (RFC 8579, section 4); empty: none
	Flags      []string // system flags and keywords (RFC 5232), each once
	Implicit   bool     // nobody asked for it: nothing cancelled the implicit keep
	Text       *Text    // nil: as it came
}

// Redirect sends the message on (RFC 5228, section 4.2).
type Redirect struct {
	To   mta.Recipient // with the NOTIFY of redirect-dsn (RFC 6009)
	Copy bool          // :copy, the implicit keep stands (RFC 3894)
	// Return is RET of redirect-dsn; By the deadline of redirect-deliverby, zero where none was asked for.
	Return mta.Return
	By     mta.By
	Text   *Text // nil: as it came
}

// Rejection refuses the message (RFC 5429).
type Rejection struct {
	Reason   string // CRLF lines
	Extended bool   // ereject: preferably in SMTP; else a notice to the sender is as good
}

// Vacation answers the sender (RFC 5230). The run decided that the message may be answered: it is from a person, to one of Addresses,
// and no answer or list mail. Whether the sender was answered already is for the caller to know.
type Vacation struct {
	To      string        // the sender
	Handle  string        // tells kinds of answers apart; never empty
	Within  time.Duration // one answer to a sender within that; 0 is every time
	Subject string        // UTF-8; empty where the script gave none
	From    string        // of the script, checked to be an address list of one; empty where it gave none
	Own     string        // that one of Addresses that the message was to
	MIME    bool          // Reason is a MIME entity with its header
	Reason  string        // UTF-8, CRLF lines
	Copy    *Filing       // of the answer (RFC 8580); nil: none
	// OrigSubject, References and InReplyTo are the values for the answer's own fields (RFC 5230, section 5.8).
	OrigSubject string
	References  string
	InReplyTo   string
}

// Notice tells somebody of the message by mail (RFC 5435, RFC 5436).
type Notice struct {
	To, Cc, Bcc []string          // addresses
	Header      map[string]string // further fields of the mailto URI, by name in lower case
	Subject     string            // UTF-8
	Body        string            // UTF-8, CRLF lines
	From        string            // of the script, checked; empty where it gave none
	Importance  int               // 1 high, 2 normal, 3 low
	Copy        *Filing           // of the notice (RFC 8580); nil: none
}

// Duplicate is what is remembered of a message (RFC 7352).
type Duplicate struct {
	Key  string        // of the handle and the id: 64 hexadecimal digits
	For  time.Duration // from now
	Last bool          // the time begins anew where the key is remembered already
}

// Step is a line of the story of a run.
type Step struct {
	Script string // the included script's name; empty: the one that was run
	Line   int
	What   string
}
