// Package dsn writes delivery status notifications (RFC 3464): what became of a message, for its sender to read and
// for programs to understand (RFC 3461 to 3463, RFC 6522, and RFC 6533 for addresses beyond ASCII). It decides nothing: who is told of what, and when, is the
// caller's.
package dsn

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

// Action is what became of a recipient (RFC 3464, section 2.3.3).
type Action string

// The actions that Rookery reports.
const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Delivered Action = "delivered"
	Relayed   Action = "relayed" // to a host that makes no reports
)

// Recipient is one of the message, and what became of it.
type Recipient struct {
	Address string
	ORCPT   string // type;xtext, as given; empty where not
	Action  Action
	Status  mta.Enhanced // empty: what the action says by itself
	Host    string       // that said so; empty where none did
	Reply   string       // its words, or ours where there is no host
	At      time.Time    // of the last attempt; zero where there was none
	Until   time.Time    // of one that is delayed: when it is given up
}

// Report is a notification for one sender.
type Report struct {
	Hostname   string // ours
	To         string // the sender of the message
	ID         string // of this report: what is left of the @ of its Message-ID, and in its boundaries
	Date       time.Time
	EnvID      string // xtext; empty where not given
	Arrived    time.Time
	Recipients []Recipient
	UTF8       bool // the message asked for SMTPUTF8
	// Header is that of the message, up to and with its empty line; Body what is behind it, nil where it is not returned.
	Header, Body []byte
}

// Global reports whether the report itself needs SMTPUTF8: it repeats addresses or a header that do (RFC 6533).
func (r Report) Global() bool {
	global := r.UTF8 && (eightBit([]byte(r.To)) || eightBit(r.Header))
	for _, to := range r.Recipients {
		global = global || r.UTF8 && eightBit([]byte(to.Address))
	}
	return global
}

// Message gives the report as a message, with lines ending in CRLF.
func (r Report) Message() []byte {
	var b bytes.Buffer
	boundary := "=_" + r.ID + "_report"
	fmt.Fprintf(&b, "From: Mail delivery <postmaster@%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n", r.Hostname, line(r.To), r.subject(), mta.Date(r.Date), r.ID, r.Hostname)
	if id := messageID(r.Header); id != "" {
		fmt.Fprintf(&b, "In-Reply-To: %s\r\n", id)
	}
	fmt.Fprintf(&b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n", boundary)
	part := func(kind string) { fmt.Fprintf(&b, "--%s\r\nContent-Type: %s\r\n", boundary, kind) }
	part("text/plain; charset=utf-8")
	b.WriteString("Content-Transfer-Encoding: 8bit\r\n\r\n")
	r.text(&b)
	status, whole, header := "message/delivery-status", "message/rfc822", "text/rfc822-headers"
	global := r.Global()
	if global {
		status, whole, header = "message/global-delivery-status", "message/global", "message/global-headers"
	}
	part(status)
	if global {
		b.WriteString("Content-Transfer-Encoding: 8bit\r\n")
	}
	b.WriteString("\r\n")
	r.status(&b, global)
	if r.Body != nil {
		part(whole)
	} else {
		part(header)
	}
	if eightBit(r.Header) || eightBit(r.Body) {
		b.WriteString("Content-Transfer-Encoding: 8bit\r\n")
	}
	b.WriteString("\r\n")
	b.Write(r.Header)
	b.Write(r.Body)
	if !bytes.HasSuffix(b.Bytes(), []byte("\r\n")) {
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes()
}

// of lists the recipients of an action.
func (r Report) of(actions ...Action) (list []Recipient) {
	for _, to := range r.Recipients {
		for _, a := range actions {
			if to.Action == a {
				list = append(list, to)
			}
		}
	}
	return list
}

func (r Report) subject() string {
	switch {
	case len(r.of(Failed)) > 0:
		return "Your message was not delivered"
	case len(r.of(Delayed)) > 0:
		return "Your message is delayed"
	}
	return "Your message was delivered"
}

// text writes what the sender reads.
func (r Report) text(b *bytes.Buffer) {
	fmt.Fprintf(b, "This is the mail system at %s.\r\n", r.Hostname)
	if subject := field(r.Header, "subject"); subject != "" {
		fmt.Fprintf(b, "It is about your message \"%s\" of %s.\r\n", line(subject), mta.Date(r.Arrived))
	}
	for _, group := range []struct {
		actions []Action
		intro   string
	}{
		{[]Action{Failed}, "It could not be delivered to:"},
		{[]Action{Delayed}, "It could not be delivered yet to the following, and is tried again; you need do nothing:"},
		{[]Action{Delivered}, "It was delivered to:"},
		{[]Action{Relayed}, "It was handed on to the mail system of the following, which makes no reports of its own:"},
	} {
		list := r.of(group.actions...)
		if len(list) == 0 {
			continue
		}
		fmt.Fprintf(b, "\r\n%s\r\n", group.intro)
		for _, to := range list {
			fmt.Fprintf(b, "\r\n  <%s>\r\n", line(to.Address))
			switch {
			case to.Host != "":
				fmt.Fprintf(b, "    %s said: %s\r\n", line(to.Host), line(to.Reply))
			case to.Reply != "":
				fmt.Fprintf(b, "    %s\r\n", line(to.Reply))
			}
			if !to.Until.IsZero() {
				fmt.Fprintf(b, "    It is tried until %s.\r\n", mta.Date(to.Until))
			}
		}
	}
	b.WriteString("\r\n")
}

// status writes what programs read (RFC 3464, section 2.1).
func (r Report) status(b *bytes.Buffer, global bool) {
	if id, err := mta.DecodeXtext(r.EnvID); err == nil && id != "" {
		fmt.Fprintf(b, "Original-Envelope-Id: %s\r\n", line(id))
	}
	fmt.Fprintf(b, "Reporting-MTA: dns; %s\r\n", r.Hostname)
	if !r.Arrived.IsZero() {
		fmt.Fprintf(b, "Arrival-Date: %s\r\n", mta.Date(r.Arrived))
	}
	b.WriteString("\r\n")
	for _, to := range r.Recipients {
		if kind, text, ok := strings.Cut(to.ORCPT, ";"); ok {
			if address, err := mta.DecodeXtext(text); err == nil {
				fmt.Fprintf(b, "Original-Recipient: %s; %s\r\n", line(kind), line(address))
			}
		}
		kind, address := "rfc822", line(to.Address)
		if eightBit([]byte(to.Address)) {
			kind = "utf-8"
			if !global {
				address = unitext(address)
			}
		}
		fmt.Fprintf(b, "Final-Recipient: %s; %s\r\nAction: %s\r\nStatus: %s\r\n", kind, address, to.Action, to.status())
		if to.Host != "" {
			fmt.Fprintf(b, "Remote-MTA: dns; %s\r\nDiagnostic-Code: smtp; %s\r\n", line(to.Host), line(to.Reply))
		}
		if !to.At.IsZero() {
			fmt.Fprintf(b, "Last-Attempt-Date: %s\r\n", mta.Date(to.At))
		}
		if !to.Until.IsZero() {
			fmt.Fprintf(b, "Will-Retry-Until: %s\r\n", mta.Date(to.Until))
		}
		b.WriteString("\r\n")
	}
}

// unitext writes an address in ASCII (RFC 6533, section 3).
func unitext(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`\+=`, r) {
			fmt.Fprintf(&b, `\x{%X}`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// status is the enhanced code, of the class that the action demands (RFC 3464, section 2.3.4).
func (to Recipient) status() mta.Enhanced {
	class := map[Action]string{Failed: "5", Delayed: "4", Delivered: "2", Relayed: "2"}[to.Action]
	if to.Status == "" {
		return mta.Enhanced(class + ".0.0")
	}
	return mta.Enhanced(class + string(to.Status)[1:])
}

// line makes a text of foreign origin fit for one line.
func line(s string) string {
	const most = 900
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func eightBit(p []byte) bool {
	for _, c := range p {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// messageID is the Message-ID of a header, if it may stand in another one.
func messageID(header []byte) string {
	id := field(header, "message-id")
	if len(id) > 250 || !strings.HasPrefix(id, "<") || !strings.HasSuffix(id, ">") || strings.ContainsAny(id, " \t") || eightBit([]byte(id)) {
		return ""
	}
	return id
}

// field is the value of the first field of a name, in lower case, unfolded.
func field(header []byte, name string) string {
	found, value := false, ""
	for l := range bytes.Lines(header) {
		text := string(bytes.TrimRight(l, "\r\n"))
		switch {
		case found && text != "" && (text[0] == ' ' || text[0] == '\t'):
			value += " " + strings.TrimSpace(text)
			continue
		case found:
			return strings.TrimSpace(value)
		}
		if key, rest, ok := strings.Cut(text, ":"); ok && strings.EqualFold(key, name) {
			found, value = true, strings.TrimSpace(rest)
		}
	}
	return strings.TrimSpace(value)
}
