package dkim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ErrTags says that text is no tag list (RFC 6376, section 3.2).
var ErrTags = errors.New("not a list of tags")

// Tag is one tag=value.
type Tag struct{ Name, Value string }

// Tags is a tag list, in its order.
type Tags []Tag

// maxTags is how many tags a list may have. RFC 6376 knows 14.
const maxTags = 50

// ParseTags reads a tag list. Values keep the white space within them. The error is ErrTags.
func ParseTags(text string) (Tags, error) {
	var out Tags
	for spec := range strings.SplitSeq(text, ";") {
		if strings.Trim(spec, blanks) == "" {
			continue // behind the last one; elsewhere it does no harm
		}
		name, value, ok := strings.Cut(spec, "=")
		name = strings.Trim(name, blanks)
		if !ok || !isTagName(name) {
			return nil, fmt.Errorf("%.40q: %w", spec, ErrTags)
		}
		if len(out) == maxTags {
			return nil, fmt.Errorf("more than %d tags: %w", maxTags, ErrTags)
		}
		if _, again := out.Get(name); again {
			return nil, fmt.Errorf("tag %s is there twice: %w", name, ErrTags)
		}
		out = append(out, Tag{name, strings.Trim(value, blanks)})
	}
	return out, nil
}

// Get gives the value of a tag. Names differ by case (RFC 6376, section 3.2).
func (t Tags) Get(name string) (value string, ok bool) {
	for _, tag := range t {
		if tag.Name == name {
			return tag.Value, true
		}
	}
	return "", false
}

// Word is the value of a tag without any white space; empty where there is none.
func (t Tags) Word(name string) string {
	value, _ := t.Get(name)
	if !strings.ContainsAny(value, blanks) {
		return value
	}
	var b strings.Builder
	b.Grow(len(value))
	for i := 0; i < len(value); i++ {
		if c := value[i]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Octets decodes the Base64 of a tag.
func (t Tags) Octets(name string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(t.Word(name))
	if err != nil {
		return nil, fmt.Errorf("tag %s is no Base64: %w", name, ErrTags)
	}
	return b, nil
}

// List gives the parts of a tag between colons.
func (t Tags) List(name string) []string {
	return strings.Split(t.Word(name), ":")
}

func isTagName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || s[i] != '_' && (s[i] < '0' || '9' < s[i])) {
			return false
		}
	}
	return s != ""
}

// WithoutSignature gives a field as its own signature covers it: with an empty b= tag (RFC 6376, section 3.5).
func WithoutSignature(field string) string {
	from := strings.IndexByte(field, ':') + 1
	for from < len(field) {
		spec, _, _ := strings.Cut(field[from:], ";")
		name, value, ok := strings.Cut(spec, "=")
		if ok && strings.Trim(name, blanks) == "b" {
			at := from + len(name) + 1
			rest := field[at+len(value):]
			if rest == "" && strings.HasSuffix(field, "\r\n") {
				rest = "\r\n"
			}
			return field[:at] + rest
		}
		from += len(spec) + 1
	}
	return field
}
