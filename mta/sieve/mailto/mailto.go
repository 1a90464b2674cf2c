// Package mailto reads mailto URIs (RFC 6068), which name whom a Sieve notice goes to (RFC 5436). It sends nothing.
package mailto

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/cluster/directory/address"
)

// ErrSyntax says that a text is no mailto URI.
var ErrSyntax = errors.New("not a mailto URI")

// MaxRecipients is how many addresses one URI may name.
const MaxRecipients = 16

// Message is what a URI asks for.
type Message struct {
	To, Cc, Bcc []string
	Subject     string            // UTF-8
	Body        string            // UTF-8, CRLF lines
	Header      map[string]string // other fields by name in lower case, UTF-8
}

// Is tells whether a text has the scheme of mailto URIs, in any case.
func Is(uri string) bool {
	return len(uri) >= 7 && strings.EqualFold(uri[:7], "mailto:")
}

// Parse reads a URI. The error is ErrSyntax with what is wrong.
func Parse(uri string) (*Message, error) {
	if !Is(uri) {
		return nil, fmt.Errorf("%w: it does not begin with mailto:", ErrSyntax)
	}
	path, query, _ := strings.Cut(uri[7:], "?")
	query, _, _ = strings.Cut(query, "#")
	path, _, _ = strings.Cut(path, "#")
	m := &Message{Header: map[string]string{}}
	if err := m.recipients(&m.To, path); err != nil {
		return nil, err
	}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("%w: %q is not name=value", ErrSyntax, pair)
		}
		if err := m.field(name, value); err != nil {
			return nil, err
		}
	}
	if n := len(m.To) + len(m.Cc) + len(m.Bcc); n == 0 || n > MaxRecipients {
		return nil, fmt.Errorf("%w: %d recipients, 1 to %d are allowed", ErrSyntax, n, MaxRecipients)
	}
	return m, nil
}

// field takes one name=value.
func (m *Message) field(name, value string) error {
	name, err := unescape(name)
	if err != nil {
		return err
	}
	switch name = strings.ToLower(name); name {
	case "to":
		return m.recipients(&m.To, value)
	case "cc":
		return m.recipients(&m.Cc, value)
	case "bcc":
		return m.recipients(&m.Bcc, value)
	}
	text, err := unescape(value)
	if err != nil {
		return err
	}
	switch {
	case name == "body":
		m.Body = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	case strings.ContainsAny(text, "\r\n"):
		return fmt.Errorf("%w: a line end in the field %q", ErrSyntax, name)
	case name == "subject":
		m.Subject = text
	case !isName(name):
		return fmt.Errorf("%w: %q is no field name", ErrSyntax, name)
	default:
		m.Header[name] = text
	}
	return nil
}

// isName tells whether a text can be the name of a field (RFC 5322, section 3.6.8).
func isName(s string) bool {
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return s != ""
}

// recipients reads addresses with commas between, which may be escaped too.
func (m *Message) recipients(list *[]string, text string) error {
	text, err := unescape(text)
	if err != nil {
		return err
	}
	for _, one := range splitCommas(text) {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		a, err := address.Parse(one)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		*list = append(*list, a.String())
	}
	return nil
}

// splitCommas splits at commas that are not in a quoted local part.
func splitCommas(s string) (list []string) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			list = append(list, s[start:i])
			start = i + 1
		}
	}
	return append(list, s[start:])
}

// unescape undoes %-escapes; "+" is itself (RFC 6068, section 5).
func unescape(s string) (string, error) {
	out, err := url.PathUnescape(s)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if !utf8.ValidString(out) || strings.ContainsRune(out, 0) {
		return "", fmt.Errorf("%w: %q is not text in UTF-8", ErrSyntax, s)
	}
	return out, nil
}
