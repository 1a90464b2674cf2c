// Package address reads mail addresses: the Mailbox of RFC 5321, section 4.1.2, with the UTF-8 of RFC
// 6531, section 3.3. It knows when two texts name the same mailbox on our own servers. It does not
// read header fields (RFC 5322: display names, comments, groups), and decides nothing about who an
// address belongs to.
package address

import (
	"errors"
	"fmt"
	"strings"
)

// MaxLength is the longest text that is read as an address, in octets. RFC 5321, section 4.5.3.1,
// asks for 64 + 1 + 255; longer ones are nobody's.
const MaxLength = 320

// MaxLocal is the longest local part in octets that an address of our own may have (RFC 5321, section
// 4.5.3.1.1). Parse takes longer ones: bounce addresses of foreign lists exceed it every day.
const MaxLocal = 64

// ErrSyntax says that text is no address or no domain name.
var ErrSyntax = errors.New("not a mail address")

// Address is one mailbox. Local is what the local part means, without quotes and in Unicode NFC, its
// case kept; Domain is a lower-case A-label name without a final dot, or an address literal in its
// brackets.
type Address struct {
	Local  string
	Domain string
}

// Parse reads local-part "@" domain. Quotes that were not needed are gone, so that "john"@example.com
// and john@EXAMPLE.com give the same. The error is ErrSyntax with what is wrong.
func Parse(text string) (Address, error) {
	if len(text) > MaxLength {
		return Address{}, fmt.Errorf("address of %d octets, %d are allowed: %w", len(text), MaxLength, ErrSyntax)
	}
	local, rest, err := parseLocal(text)
	if err != nil {
		return Address{}, fmt.Errorf("read %q: %w", text, err)
	}
	if !strings.HasPrefix(rest, "@") {
		return Address{}, fmt.Errorf("read %q: no @ after the local part: %w", text, ErrSyntax)
	}
	domain, err := parseHost(rest[1:])
	if err != nil {
		return Address{}, fmt.Errorf("read %q: %w", text, err)
	}
	return Address{Local: local, Domain: domain}, nil
}

// Fold gives the form under which our own mailboxes are looked up: A to Z as a to z in the local
// part. Other letters keep their case, since folding them is not the same in all languages. An
// address that goes to another server is never folded: only its own server knows what case means
// (RFC 5321, section 2.4).
func (a Address) Fold() Address {
	return Address{Local: lowerASCII(a.Local), Domain: a.Domain}
}

// String gives the address as it stands in an SMTP command, with quotes where they are needed.
// Parse reads it back to the same Address. The zero Address gives "".
func (a Address) String() string {
	if a == (Address{}) {
		return ""
	}
	return quoteLocal(a.Local) + "@" + a.Domain
}

// Display gives the address as people read it: like String, with the U-labels of the domain.
func (a Address) Display() string {
	if a == (Address{}) {
		return ""
	}
	return quoteLocal(a.Local) + "@" + UnicodeDomain(a.Domain)
}

// IsLiteral reports whether the domain is an address literal such as [192.0.2.1].
func (a Address) IsLiteral() bool { return strings.HasPrefix(a.Domain, "[") }

// IsASCII reports whether the address can be sent to a server without SMTPUTF8.
func (a Address) IsASCII() bool { return isASCII(a.Local) }

// Split takes the subaddress off (RFC 5233): the local part ends at its first character out of
// delimiters, and the rest is detail. ok is false where there is no delimiter or nothing before it.
func (a Address) Split(delimiters string) (base Address, detail string, ok bool) {
	at := strings.IndexAny(a.Local, delimiters)
	if at <= 0 {
		return a, "", false
	}
	return Address{Local: a.Local[:at], Domain: a.Domain}, a.Local[at+1:], true
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return strings.Map(func(r rune) rune {
				if 'A' <= r && r <= 'Z' {
					return r + 'a' - 'A'
				}
				return r
			}, s)
		}
	}
	return s
}
