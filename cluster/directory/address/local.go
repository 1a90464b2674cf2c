package address

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// parseLocal reads a Dot-string or Quoted-string from the start of text and returns what it means
// and what follows it.
func parseLocal(text string) (local, rest string, err error) {
	if !utf8.ValidString(text) {
		return "", "", fmt.Errorf("octets that are no UTF-8: %w", ErrSyntax)
	}
	if strings.HasPrefix(text, `"`) {
		local, rest, err = parseQuoted(text)
	} else {
		local, rest, err = parseDotString(text)
	}
	if err != nil {
		return "", "", err
	}
	// RFC 6532, section 3.1. Normalising can bring forth plain ASCII (U+212A is the letter K), so it
	// comes before anything that looks at letters.
	return norm.NFC.String(local), rest, nil
}

func parseDotString(text string) (local, rest string, err error) {
	end := strings.IndexByte(text, '@')
	if end < 0 {
		end = len(text)
	}
	local, rest = text[:end], text[end:]
	if local == "" {
		return "", "", fmt.Errorf("an empty local part: %w", ErrSyntax)
	}
	if bad := strings.IndexFunc(local, func(r rune) bool { return r != '.' && !isAtext(r) }); bad >= 0 {
		return "", "", fmt.Errorf("character %q needs quotes in a local part: %w", firstRune(local[bad:]), ErrSyntax)
	}
	if !isDotString(local) {
		return "", "", fmt.Errorf("a dot at an end or two in a row in the local part: %w", ErrSyntax)
	}
	return local, rest, nil
}

func parseQuoted(text string) (local, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '"':
			if b.Len() == 0 {
				return "", "", fmt.Errorf("an empty local part: %w", ErrSyntax)
			}
			return b.String(), text[i+1:], nil
		case r == '\\':
			// quoted-pairSMTP: a backslash and one printable ASCII character.
			if i+1 >= len(text) || text[i+1] < ' ' || text[i+1] > '~' {
				return "", "", fmt.Errorf("a backslash before nothing printable: %w", ErrSyntax)
			}
			b.WriteByte(text[i+1])
			i += 2
		case !isPrintable(r):
			return "", "", fmt.Errorf("control character %q in the local part: %w", r, ErrSyntax)
		default:
			b.WriteRune(r)
			i += size
		}
	}
	return "", "", fmt.Errorf("a quoted local part without its end: %w", ErrSyntax)
}

// quoteLocal is the inverse of parseLocal.
func quoteLocal(local string) string {
	plain := isDotString(local) && strings.IndexFunc(local, func(r rune) bool { return r != '.' && !isAtext(r) }) < 0
	if plain {
		return local
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range local {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

func isDotString(local string) bool {
	return local != "" && local[0] != '.' && local[len(local)-1] != '.' && !strings.Contains(local, "..")
}

// isAtext is atext of RFC 5322, section 3.2.3, with the UTF8-non-ascii of RFC 6531.
func isAtext(r rune) bool {
	switch {
	case r >= 0x80:
		return isPrintable(r) && !unicode.IsSpace(r)
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	}
	return strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// isPrintable keeps control characters and line ends of every kind out of addresses, logs and SMTP.
func isPrintable(r rune) bool {
	return r != utf8.RuneError && !unicode.IsControl(r) && r != '\u2028' && r != '\u2029'
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}
