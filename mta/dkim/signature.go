package dkim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// The bounds of a signature that is looked at.
const (
	maxSignature = 16 << 10 // octets of the field
	maxNames     = 500      // of fields in h=
)

// future is how far ahead of our clock a signature may be made.
const future = 24 * time.Hour

// signature is a field that is looked at.
type signature struct {
	outcome      Outcome // its Result is empty until there is one
	text         string
	tags         Tags
	header, body Form
	names        []string
	length       int64 // l=, or All
	want         Digest
}

func (s *signature) end(r Result, format string, args ...any) {
	s.outcome.Result, s.outcome.Reason = r, fmt.Sprintf(format, args...)
}

func (s *signature) need() Need { return Need{s.body, s.length} }

// host is the name of the record with the key (RFC 6376, section 3.6.2.1).
func (s *signature) host() string { return s.outcome.Selector + "._domainkey." + s.outcome.Domain }

// parseSignature reads a field (RFC 6376, section 6.1.1). What ends with a result is not to be verified.
func parseSignature(f Field, now time.Time) *signature {
	s := &signature{text: f.Text, length: All}
	if len(f.Text) > maxSignature {
		s.end(Neutral, "a field of %d octets", len(f.Text))
		return s
	}
	tags, err := ParseTags(f.Value())
	if err != nil {
		s.end(Neutral, "%v", err)
		return s
	}
	s.tags = tags
	s.read()
	for _, step := range []func(){s.parseRequired, s.parseDomain, s.parseForms, s.parseNames, s.parseLength, func() { s.parseTimes(now) }} {
		if s.outcome.Result == "" {
			step()
		}
	}
	return s
}

// read takes what is told of it whatever becomes of it.
func (s *signature) read() {
	s.outcome.Algorithm = printable(s.tags.Word("a"))
	s.outcome.Identity = printable(s.tags.Word("i"))
	s.outcome.Mark = s.tags.Word("b")
	s.outcome.Mark = printable(s.outcome.Mark[:min(len(s.outcome.Mark), 8)])
	domain, selector := Hostname(s.tags.Word("d")), Hostname(s.tags.Word("s"))
	if domain == "" || selector == "" || len(domain)+len(selector) > 230 {
		return
	}
	s.outcome.Domain, s.outcome.Selector = domain, selector
}

func (s *signature) parseRequired() {
	for _, name := range []string{"v", "a", "b", "bh", "d", "h", "s"} {
		if value, _ := s.tags.Get(name); value == "" {
			s.end(PermError, "it has no %s=", name)
			return
		}
	}
	if v := s.tags.Word("v"); v != "1" {
		s.end(Neutral, "version %.10q", v)
		return
	}
	switch a := s.outcome.Algorithm; a {
	case RSA + "-sha256", Ed25519 + "-sha256":
	case RSA + "-sha1":
		s.end(Policy, "SHA-1 is not taken (RFC 8301)")
		return
	default:
		s.end(Neutral, "algorithm %.30q is not known", a)
		return
	}
	if q, ok := s.tags.Get("q"); ok && !slices.Contains(s.tags.List("q"), "dns/txt") {
		s.end(PermError, "its key is asked for by %.30q", q)
		return
	}
	bh, err := s.tags.Octets("bh")
	if err == nil {
		_, err = s.tags.Octets("b")
	}
	if err != nil || len(bh) != len(s.want) {
		s.end(Neutral, "b= or bh= cannot be read")
		return
	}
	s.want = Digest(bh)
}

// parseDomain reads d= and s=, and holds i= against d= (RFC 6376, section 6.1.1).
func (s *signature) parseDomain() {
	d := s.outcome.Domain
	if d == "" {
		s.end(Neutral, "d= or s= is no name")
		return
	}
	if !strings.Contains(d, ".") {
		s.end(PermError, "d= is a top-level domain")
		return
	}
	if i, ok := s.tags.Get("i"); ok {
		_, of, _ := cutLast(i, '@')
		if of = Hostname(of); of != d && !strings.HasSuffix(of, "."+d) {
			s.end(PermError, "i= is not in the domain of d=")
		}
	}
}

func (s *signature) parseForms() {
	header, body, ok := ParseForms(s.tags.Word("c"))
	if !ok {
		s.end(Neutral, "form %.30q is not known", s.tags.Word("c"))
		return
	}
	s.header, s.body = header, body
}

// ParseForms reads the c= tag; what is not said is Simple (RFC 6376, section 3.5).
func ParseForms(text string) (header, body Form, ok bool) {
	first, second, _ := strings.Cut(text, "/")
	header, body = Form(first), Form(second)
	for _, f := range []*Form{&header, &body} {
		switch *f {
		case "":
			*f = Simple
		case Simple, Relaxed:
		default:
			return "", "", false
		}
	}
	return header, body, true
}

func (s *signature) parseNames() {
	s.names = s.tags.List("h")
	switch {
	case len(s.names) > maxNames:
		s.end(Neutral, "h= has %d names", len(s.names))
	case !slices.ContainsFunc(s.names, func(name string) bool { return strings.EqualFold(name, "From") }):
		s.end(PermError, "From is not signed")
	}
}

func (s *signature) parseLength() {
	if text, ok := s.tags.Get("l"); ok {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || text[0] == '+' {
			s.end(Neutral, "l= is no number")
			return
		}
		s.length = n
	}
}

func (s *signature) parseTimes(now time.Time) {
	signed, signedOK, err := s.time("t")
	expires, expiresOK, err2 := s.time("x")
	switch {
	case err != nil || err2 != nil:
		s.end(Neutral, "t= or x= is no number")
	case signedOK && expiresOK && expires.Before(signed):
		s.end(PermError, "it expires before it was made")
	case signedOK && signed.After(now.Add(future)):
		s.end(Policy, "it is made in the future, at %s", signed.UTC().Format(time.RFC3339))
	case expiresOK && now.After(expires):
		s.end(Fail, "it expired at %s", expires.UTC().Format(time.RFC3339))
	}
}

// latest is the last moment that is told apart, in the year 9999; x= may have 12 digits (RFC 6376, section 3.5).
const latest = 253402300799

func (s *signature) time(name string) (at time.Time, ok bool, err error) {
	text := s.tags.Word(name)
	if text == "" {
		return at, false, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return time.Unix(int64(min(n, latest)), 0), true, err
}

// Hostname is a domain or selector in lower case and A-labels; empty where it is none.
func Hostname(text string) string {
	text = strings.ToLower(strings.TrimSuffix(text, "."))
	if strings.ContainsFunc(text, func(c rune) bool { return c > '~' }) {
		ascii, err := idna.Lookup.ToASCII(text)
		if err != nil {
			return ""
		}
		text = ascii
	}
	if text == "" || len(text) > 253 {
		return ""
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(c rune) bool {
			return (c < 'a' || 'z' < c) && (c < '0' || '9' < c) && c != '-' && c != '_'
		}) {
			return ""
		}
	}
	return text
}

// printable makes a text of theirs fit for a line of ours.
func printable(text string) string {
	text = text[:min(len(text), 320)]
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '�' {
			return '?'
		}
		return c
	}, text)
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}
