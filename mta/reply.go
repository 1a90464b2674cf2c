package mta

import (
	"fmt"
	"strings"
)

// Enhanced is an enhanced status code such as "5.1.1" (RFC 3463, with the registry of RFC 5248).
// Empty is none, for replies that have none (RFC 2034, section 3).
type Enhanced string

// The enhanced codes that Rookery gives. The first digit repeats the class of the reply code.
const (
	OK                 Enhanced = "2.0.0"
	OKSender           Enhanced = "2.1.0"
	OKRecipient        Enhanced = "2.1.5"
	OKMedia            Enhanced = "2.6.0"
	OKAuth             Enhanced = "2.7.0"
	TempNoSenderDomain Enhanced = "4.1.8"
	TempMailboxFull    Enhanced = "4.2.2"
	TempSystem         Enhanced = "4.3.0"
	TempSystemFull     Enhanced = "4.3.1"
	TempNotAccepting   Enhanced = "4.3.2"
	TempTimeout        Enhanced = "4.4.2"
	TempRecipients     Enhanced = "4.5.3"
	TempSecurity       Enhanced = "4.7.0"
	TempNotNow         Enhanced = "4.7.1"
	BadMailbox         Enhanced = "5.1.1"
	BadRecipient       Enhanced = "5.1.3"
	BadSender          Enhanced = "5.1.7"
	BadSenderDomain    Enhanced = "5.1.8"
	MailboxFull        Enhanced = "5.2.2"
	TooBig             Enhanced = "5.3.4"
	Loop               Enhanced = "5.4.6"
	BadSequence        Enhanced = "5.5.1"
	BadSyntax          Enhanced = "5.5.2"
	BadArgument        Enhanced = "5.5.4"
	BadMedia           Enhanced = "5.6.0"
	NeedsUTF8          Enhanced = "5.6.7"
	AuthRequired       Enhanced = "5.7.0"
	NotAuthorized      Enhanced = "5.7.1"
	BadCredentials     Enhanced = "5.7.8"
	TLSRequired        Enhanced = "5.7.11"
	AccountDisabled    Enhanced = "5.7.13"
	BadReverse         Enhanced = "5.7.25" // RFC 7372, section 3.3
	SenderNullMX       Enhanced = "5.7.27" // RFC 7505, section 4.2
)

// Reply is an SMTP reply (RFC 5321, section 4.2). As an error it refuses what was asked for.
type Reply struct {
	Code     int
	Enhanced Enhanced
	Text     string // lines are parted by \n
}

// Replyf makes a reply with a formatted text.
func Replyf(code int, enhanced Enhanced, format string, args ...any) *Reply {
	return &Reply{Code: code, Enhanced: enhanced, Text: fmt.Sprintf(format, args...)}
}

// Error gives the reply in one line.
func (r *Reply) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.Code, r.Enhanced)) + " " + strings.ReplaceAll(r.Text, "\n", " ")
}

// Positive reports whether what was asked for was done or may go on.
func (r *Reply) Positive() bool { return r.Code < 400 }

// Temporary reports whether the same command may succeed later (4yz).
func (r *Reply) Temporary() bool { return r.Code >= 400 && r.Code < 500 }

// Permanent reports whether the same command will fail again (5yz).
func (r *Reply) Permanent() bool { return r.Code >= 500 }

// AppendTo writes the reply as it goes over the line, the enhanced code on each line of it (RFC
// 2034, section 4). Control characters of the text become spaces: a text that repeats what a client
// sent cannot start a line of its own.
func (r *Reply) AppendTo(b []byte) []byte {
	text := r.Text
	for more := true; more; {
		var line string
		line, text, more = strings.Cut(text, "\n")
		b = fmt.Appendf(b, "%03d", r.Code)
		if more {
			b = append(b, '-')
		} else {
			b = append(b, ' ')
		}
		if r.Enhanced != "" {
			b = append(append(b, r.Enhanced...), ' ')
		}
		for i := 0; i < len(line); i++ {
			if c := line[i]; c < ' ' || c == 0x7f {
				b = append(b, ' ')
			} else {
				b = append(b, c)
			}
		}
		b = append(b, '\r', '\n')
	}
	return b
}
