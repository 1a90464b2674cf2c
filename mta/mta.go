// Package mta holds the words for mail in transit: envelopes, replies with their enhanced status
// codes, and trace fields. The door that speaks SMTP is mta/smtpd, its grammar is mta/wire. This
// package is formatting only: no I/O, no clock, and it decides nothing.
package mta

import (
	"strings"
	"time"
)

// ID names one mail transaction in replies, in Received fields and in the log. Upper-case letters
// and digits, so that it can be read out over the telephone.
type ID string

// Body is the BODY parameter of MAIL (RFC 6152).
type Body string

// The bodies that are taken. BINARYMIME (RFC 3030) is not.
const (
	BodyUnknown Body = ""
	Body7Bit    Body = "7BIT"
	Body8Bit    Body = "8BITMIME"
)

// Envelope is what MAIL and RCPT said (RFC 5321, section 2.3.1).
type Envelope struct {
	From string // the reverse-path; empty is the null sender
	To   []string
	Size int64 // octets as declared by SIZE (RFC 1870), 0 where not declared
	Body Body
	UTF8 bool // SMTPUTF8 was asked for (RFC 6531)

	Return Return // of reports (RFC 3461)
	EnvID  string // xtext; empty where not given

	Release  time.Time // before which nobody gets the message (RFC 4865); zero: at once
	By       By        // by when it is to be delivered (RFC 2852)
	Priority int       // -9 to 9 (RFC 6710)
	// RequireTLS asks each hop for TLS with a host that is authenticated (RFC 8689, section 4).
	RequireTLS bool
	// TLSOptional says that delivery matters more to the sender than the policies of TLS: the header has "TLS-Required: No"
	// (RFC 8689, section 3). It is never set together with RequireTLS.
	TLSOptional bool
}

// Protocol is how a message came in.
type Protocol string

// The protocols; they are also the stems of the "with" keywords of a Received field.
const (
	SMTP  Protocol = "SMTP" // HELO, without extensions
	ESMTP Protocol = "ESMTP"
	LMTP  Protocol = "LMTP" // RFC 2033
)

// With gives the keyword of the "with" clause: RFC 3848 for ESMTP and LMTP with TLS (S) and
// authentication (A), RFC 6531, section 4.3, for those with SMTPUTF8. Plain SMTP knows no variants.
func With(p Protocol, tls, auth, utf8 bool) string {
	if p == SMTP {
		return string(SMTP)
	}
	stem := string(p)
	if utf8 {
		stem = "UTF8" + strings.TrimPrefix(stem, "E")
	}
	if tls {
		stem += "S"
	}
	if auth {
		stem += "A"
	}
	return stem
}

// Date formats t as the date-time of RFC 5322, section 3.3.
func Date(t time.Time) string { return t.Format("Mon, 2 Jan 2006 15:04:05 -0700") }
