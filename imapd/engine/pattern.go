package engine

import (
	"strings"

	"github.com/rookery-mail/rookery/index"
)

// maxPattern bounds the work of one pattern; no mailbox name is as long.
const maxPattern = 2000

// pattern is a LIST pattern with its reference (RFC 9051, section 6.3.9).
type pattern string

// newPattern joins reference and pattern. INBOX is taken in any case where it is the first level.
func newPattern(reference, p string) pattern {
	p = reference + p
	if len(p) > maxPattern {
		return "\x00" // in no name
	}
	first, rest, more := strings.Cut(p, string(index.Delimiter))
	if equalFold(first, index.Inbox) {
		if p = index.Inbox; more {
			p += string(index.Delimiter) + rest
		}
	}
	return pattern(p)
}

// matches reports whether a name fits: "*" stands for anything, "%" for anything within a level. The
// work is bounded by the product of the lengths.
func (p pattern) matches(name string) bool {
	if !strings.ContainsAny(string(p), "*%") {
		return string(p) == name
	}
	// at[i] is whether the pattern so far fits the first i octets of name.
	at := make([]bool, len(name)+1)
	at[0] = true
	for i := range len(p) {
		switch c := p[i]; c {
		case '*', '%':
			for j := 1; j <= len(name); j++ {
				if at[j-1] && (c == '*' || name[j-1] != index.Delimiter) {
					at[j] = true
				}
			}
		default:
			for j := len(name); j > 0; j-- {
				at[j] = at[j-1] && name[j-1] == c
			}
			at[0] = false
		}
	}
	return at[len(name)]
}

func matchesAny(patterns []pattern, name string) bool {
	for _, p := range patterns {
		if p.matches(name) {
			return true
		}
	}
	return false
}
