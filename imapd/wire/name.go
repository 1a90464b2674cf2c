package wire

import (
	"strings"
	"unicode/utf8"
)

// mailbox reads a mailbox name as UTF-8. INBOX in any case is INBOX.
func (r *Reader) mailbox() string { return r.decodeName(r.name()) }

func (r *Reader) name() string {
	if !r.utf8 {
		return r.astring()
	}
	if c := r.peek(); c == '"' || c == '{' {
		return r.str()
	}
	return r.some("a mailbox name", isAString)
}

func (r *Reader) decodeName(s string) string {
	if r.err != nil {
		return ""
	}
	if strings.EqualFold(s, "INBOX") {
		return "INBOX"
	}
	if r.utf8 {
		if !utf8.ValidString(s) {
			r.fail("mailbox name is not valid UTF-8")
		}
		return s
	}
	name, err := DecodeUTF7(s)
	if err != nil {
		r.fail("mailbox name: %v", err)
	}
	return name
}

// pattern reads a mailbox name with wildcards (RFC 9051, section 6.3.9).
func (r *Reader) pattern() string {
	if c := r.peek(); c == '"' || c == '{' {
		return r.decodePattern(r.str())
	}
	return r.decodePattern(r.some("a mailbox pattern", isPattern))
}

func (r *Reader) decodePattern(s string) string {
	if strings.EqualFold(s, "INBOX") {
		return "INBOX"
	}
	if r.utf8 && utf8.ValidString(s) {
		return s
	}
	p, err := DecodeUTF7(s)
	if err != nil {
		r.fail("mailbox pattern: %v", err)
	}
	return p
}
