package mta

import (
	"fmt"
	"strings"
)

// Notify says of what a sender wants to hear about a recipient, as bits (RFC 3461, section 4.1). The
// numbers are stored. Zero is unsaid: of failures and perhaps delays.
type Notify uint32

// The bits of Notify. NotifyNever stands alone.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// ParseNotify reads the NOTIFY parameter of RCPT, ok false where it is none.
func ParseNotify(s string) (n Notify, ok bool) {
	for word := range strings.SplitSeq(strings.ToUpper(s), ",") {
		bit := map[string]Notify{"NEVER": NotifyNever, "SUCCESS": NotifySuccess, "FAILURE": NotifyFailure, "DELAY": NotifyDelay}[word]
		if bit == 0 || n&bit != 0 {
			return 0, false
		}
		n |= bit
	}
	return n, n == NotifyNever || n&NotifyNever == 0
}

// String gives the parameter as it is written, "" for what is unsaid.
func (n Notify) String() string {
	var words []string
	for _, w := range []struct {
		bit  Notify
		name string
	}{{NotifyNever, "NEVER"}, {NotifySuccess, "SUCCESS"}, {NotifyFailure, "FAILURE"}, {NotifyDelay, "DELAY"}} {
		if n&w.bit != 0 {
			words = append(words, w.name)
		}
	}
	return strings.Join(words, ",")
}

// Wants reports whether a sender is to hear of a failure, or of a delay, of a recipient. Unsaid is both
// (RFC 3461, section 4.1: a delay "may be" told then).
func (n Notify) Wants(bit Notify) bool {
	if n == 0 {
		return bit == NotifyFailure || bit == NotifyDelay
	}
	return n&bit != 0
}

// Return says how much of a message a report returns (RFC 3461, section 4.3). The numbers are stored.
type Return uint32

// The values of the RET parameter.
const (
	ReturnUnsaid Return = iota
	ReturnFull
	ReturnHeaders
)

// String gives the parameter as it is written, "" for what is unsaid.
func (r Return) String() string {
	return map[Return]string{ReturnFull: "FULL", ReturnHeaders: "HDRS"}[r]
}

// CheckXtext reports whether s is xtext (RFC 3461, section 4).
func CheckXtext(s string) bool {
	_, err := DecodeXtext(s)
	return err == nil
}

// DecodeXtext undoes xtext: printable octets, others and "+" and "=" as "+" and two hexadecimal digits.
func DecodeXtext(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			if i+2 >= len(s) || !upperHex(s[i+1]) || !upperHex(s[i+2]) {
				return "", fmt.Errorf("xtext %q: a + without two hexadecimal digits", s)
			}
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		case c < '!' || c > '~' || c == '=':
			return "", fmt.Errorf("xtext %q: octet %#x", s, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

func upperHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }

func unhex(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}

// Recipient is a forward-path with what RCPT said of it.
type Recipient struct {
	Address string
	Notify  Notify
	ORCPT   string // type;xtext (RFC 3461, section 4.2); empty where not given
	Owed    Owed   // the zero Owed: the message is for all that the address leads to
}

// Owed says that of those an address leads to one account alone has not got a message: its partition could not take it.
type Owed struct {
	Account uint64
	Key     string // under which a delivery that was made after all is found (index/access.DedupKey)
}

// For gives what is to be said of an address that a recipient leads to: what was said of the recipient, who becomes the original one
// where none was named (RFC 3461, section 5.2.1).
func (r Recipient) For(address string) Recipient {
	out := Recipient{Address: address, Notify: r.Notify, ORCPT: r.ORCPT}
	if out.ORCPT == "" && address != r.Address {
		out.ORCPT = originalRecipient(r.Address)
	}
	return out
}

// Without gives the recipient of whom the sender wants to hear less: not of what bit says.
func (r Recipient) Without(bit Notify) Recipient {
	if r.Notify&bit != 0 {
		if r.Notify &^= bit; r.Notify == 0 {
			r.Notify = NotifyNever // 0 is unsaid
		}
	}
	return r
}

// originalRecipient is ORCPT for an address; none for one that needs RFC 6533.
func originalRecipient(address string) string {
	var b strings.Builder
	b.WriteString("rfc822;")
	for i := 0; i < len(address); i++ {
		switch c := address[i]; {
		case c >= 0x80:
			return ""
		case c < '!' || c > '~' || c == '=' || c == '+':
			fmt.Fprintf(&b, "+%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
