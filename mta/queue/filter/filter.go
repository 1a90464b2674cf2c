// Package filter says which entries of the outbound queue an operator means: by whose they are, from and to whom, how
// old, what was said of them, and what is in the message. It decides for one entry at a time and reads no state; who
// walks the queue gives it the records, and octets of the message only where they are asked for.
package filter

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// Spec is a filter as it travels between nodes. An entry has to match all of it that is set; of recipient, domain and
// error, one open recipient has to match all.
type Spec struct {
	Account   index.AccountID `json:"account,omitempty"`
	Sender    string          `json:"sender,omitempty"`    // an address, * for any octets; <> is the null sender
	Recipient string          `json:"recipient,omitempty"` // the same
	Domain    string          `json:"domain,omitempty"`    // the same, of a recipient
	Before    int64           `json:"before,omitempty"`    // Unix milliseconds: received before
	Since     int64           `json:"since,omitempty"`     // Unix milliseconds: received then or later
	Error     string          `json:"error,omitempty"`     // a regular expression (RE2), on code, status and text of the last reply
	Held      bool            `json:"held,omitempty"`      // only those that are held
	Header    string          `json:"header,omitempty"`    // Field: and a regular expression, on the decoded text of a field
	Body      string          `json:"body,omitempty"`      // a regular expression, on the decoded text parts
	Entries   []uint64        `json:"entries,omitempty"`   // one of these
}

// MaxExpression is how long a regular expression may be, in octets. It is matched in a time that is linear in what it is
// matched with.
const MaxExpression = 1000

// ErrExpression says that a pattern cannot be read.
var ErrExpression = errors.New("not an expression that can be matched")

// Filter is a Spec that is ready.
type Filter struct {
	spec                      Spec
	sender, recipient, domain *regexp.Regexp // nil: any
	fault, field, body        *regexp.Regexp
	name                      string // of the header field
	entries                   map[queue.EntryID]bool
}

// Compile makes a filter ready: ErrExpression.
func (s Spec) Compile() (*Filter, error) {
	f := &Filter{spec: s}
	for _, p := range []struct {
		what, text string
		into       **regexp.Regexp
	}{{"sender", s.Sender, &f.sender}, {"recipient", s.Recipient, &f.recipient}, {"domain", s.Domain, &f.domain}} {
		if p.text == "" {
			continue
		}
		if p.text == "<>" {
			p.text = ""
		}
		if err := compile(p.what, "(?i)^"+strings.ReplaceAll(regexp.QuoteMeta(p.text), `\*`, `.*`)+"$", p.into); err != nil {
			return nil, err
		}
	}
	header := ""
	if s.Header != "" {
		name, expression, ok := strings.Cut(s.Header, ":")
		f.name, header = strings.TrimSpace(name), strings.TrimLeft(expression, " ")
		if !ok || f.name == "" || header == "" {
			return nil, fmt.Errorf("header %q is not of the form \"Subject: expression\": %w", s.Header, ErrExpression)
		}
	}
	for _, p := range []struct {
		what, text string
		into       **regexp.Regexp
	}{{"error", s.Error, &f.fault}, {"header", header, &f.field}, {"body", s.Body, &f.body}} {
		if p.text == "" {
			continue
		}
		if err := compile(p.what, p.text, p.into); err != nil {
			return nil, err
		}
	}
	if len(s.Entries) > 0 {
		f.entries = make(map[queue.EntryID]bool, len(s.Entries))
		for _, id := range s.Entries {
			f.entries[queue.EntryID(id)] = true
		}
	}
	return f, nil
}

func compile(what, expression string, into **regexp.Regexp) error {
	if len(expression) > MaxExpression {
		return fmt.Errorf("%s of %d octets, above %d: %w", what, len(expression), MaxExpression, ErrExpression)
	}
	r, err := regexp.Compile(expression)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", what, err, ErrExpression)
	}
	*into = r
	return nil
}

// Entry reports whether an entry matches as far as its records tell: Octets has the last word where Content says so.
func (f *Filter) Entry(id queue.EntryID, e *queuepb.EntryRecord) bool {
	s := f.spec
	switch {
	case f.entries != nil && !f.entries[id],
		s.Account != 0 && uint64(s.Account) != e.Account,
		s.Held && !e.Held,
		s.Before != 0 && e.Received >= s.Before,
		s.Since != 0 && e.Received < s.Since,
		f.sender != nil && !f.sender.MatchString(e.Sender):
		return false
	}
	return true
}

// Recipients reports whether one of the open recipients of an entry matches.
func (f *Filter) Recipients(list []queue.Recipient) bool {
	if f.recipient == nil && f.domain == nil && f.fault == nil {
		return true
	}
	for _, r := range list {
		if f.one(r.Record) {
			return true
		}
	}
	return false
}

func (f *Filter) one(r *queuepb.RecipientRecord) bool {
	return (f.recipient == nil || f.recipient.MatchString(r.Address)) &&
		(f.domain == nil || f.domain.MatchString(r.Destination)) &&
		(f.fault == nil || r.Last != nil && f.fault.MatchString(Reply(r.Last)))
}

// Reply is what was said at an attempt, in one line.
func Reply(a *queuepb.Attempt) string {
	if a == nil {
		return ""
	}
	text := strings.ReplaceAll(a.Text, "\n", " ")
	switch {
	case a.Code != 0 && a.Enhanced != "":
		return fmt.Sprintf("%d %s %s", a.Code, a.Enhanced, text)
	case a.Code != 0:
		return fmt.Sprintf("%d %s", a.Code, text)
	case a.Enhanced != "":
		return a.Enhanced + " " + text
	}
	return text
}
