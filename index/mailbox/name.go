package mailbox

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rookery-mail/rookery/index"
)

// The limits of mailbox names.
const (
	MaxName  = 1000 // octets of a name
	MaxLevel = 255  // octets of one level
	MaxDepth = 32   // levels
)

const delimiter = string(index.Delimiter)

// CanonicalName brings a name from a client into the form that is stored: UTF-8 in Normalization
// Form C (RFC 9051, section 5.1), INBOX in capitals where it is the first level, without a delimiter
// at the end. Errors are index.ErrInvalidName. It is for proposers: tables of Unicode differ
// between versions, so the machine itself only checks.
func CanonicalName(name string) (string, error) {
	name = strings.TrimSuffix(norm.NFC.String(name), delimiter)
	first, rest, deeper := strings.Cut(name, delimiter)
	if strings.EqualFold(first, index.Inbox) && len(first) == len(index.Inbox) {
		name = index.Inbox
		if deeper {
			name += delimiter + rest
		}
	}
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("%w: %w", index.ErrInvalidName, err)
	}
	return name, nil
}

// NewName is CanonicalName for a mailbox that is to be made. It refuses "." and ".." as levels too, which
// clients that keep mail in files take for directories. A mailbox that has such a name already keeps it.
func NewName(name string) (string, error) {
	name, err := CanonicalName(name)
	if err != nil {
		return "", err
	}
	for level := range strings.SplitSeq(name, delimiter) {
		if level == "." || level == ".." {
			return "", fmt.Errorf("%w: a level of a mailbox name cannot be %q", index.ErrInvalidName, level)
		}
	}
	return name, nil
}

// checkName is the machine's own check of a name, the same in every version.
func checkName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("a mailbox name has 1 to %d octets", MaxName)
	}
	if !utf8.ValidString(name) {
		return errors.New("a mailbox name is UTF-8")
	}
	for _, r := range name {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == '*' || r == '%' || r == 0x2028 || r == 0x2029 {
			return fmt.Errorf("a mailbox name cannot contain %q", r)
		}
	}
	levels := strings.Split(name, delimiter)
	if len(levels) > MaxDepth {
		return fmt.Errorf("a mailbox name has at most %d levels", MaxDepth)
	}
	for _, l := range levels {
		if l == "" || len(l) > MaxLevel {
			return fmt.Errorf("a level of a mailbox name has 1 to %d octets", MaxLevel)
		}
	}
	if asciiFold(levels[0], index.Inbox) && levels[0] != index.Inbox {
		return errors.New("INBOX is written in capitals")
	}
	return nil
}

// asciiFold reports whether a and b are equal but for the case of ASCII letters.
func asciiFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// parents returns the names above name, from the top down.
func parents(name string) (above []string) {
	for i := range len(name) {
		if name[i] == index.Delimiter {
			above = append(above, name[:i])
		}
	}
	return above
}
