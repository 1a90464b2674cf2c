package wire

import (
	"errors"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxURL is the longest URL that is read, in octets.
const maxURL = 4 << 10

// ErrURL says that a text is no IMAP URL of a message or a part of one.
var ErrURL = errors.New("not an IMAP URL of a message")

// URL names a message or a part of it (RFC 5092, section 5.1).
type URL struct {
	Absolute    bool // it has User and Host
	User, Host  string
	Selected    bool   // it is relative to the selected mailbox; Mailbox is empty
	Mailbox     string // UTF-8
	UIDValidity uint32 // 0 where not given
	UID         uint32
	Section     Section
	Partial     bool // Offset and Count were given
	Offset      uint64
	Count       uint64 // math.MaxInt64 is up to the end

	// Of a URL that grants access (RFC 4467, section 9); Access is empty otherwise.
	Expire    time.Time // zero is never
	Access    string    // lower case but for the user: submit+user, user+user, authuser, anonymous
	Rump      string    // the text up to Access, as it was written
	Mechanism string    // upper case; empty where the URL is not signed yet
	Token     string
}

// ParseURL reads an absolute URL, one that begins with the mailbox's path, or one that is relative to the
// selected mailbox. The error is ErrURL.
func ParseURL(text string) (URL, error) {
	var u URL
	if len(text) > maxURL || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return u, ErrURL
	}
	path := text
	switch {
	case len(text) > 7 && strings.EqualFold(text[:7], "imap://"):
		authority, rest, ok := strings.Cut(text[7:], "/")
		if !ok || !u.authority(authority) {
			return u, ErrURL
		}
		path = rest
	case strings.HasPrefix(text, "/"):
		path = text[1:]
	case hasFold(text, ";UID="):
		u.Selected, path = true, "/"+text
	default:
		return u, ErrURL
	}
	if !u.path(path) || !u.authorisation(text) {
		return u, ErrURL
	}
	return u, nil
}

func hasFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// cutFold is strings.Cut without case; names of URL parameters are ASCII.
func cutFold(s, sep string) (before, after string, found bool) {
	at := strings.Index(strings.ToUpper(s), sep)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(sep):], true
}

func (u *URL) authority(text string) bool {
	user, host, ok := strings.Cut(text, "@")
	if !ok {
		user, host = "", text
	}
	user, _, _ = cutFold(user, ";AUTH=")
	name, err := url.PathUnescape(user)
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:at]
	}
	u.Absolute, u.User, u.Host = true, name, host
	return err == nil && host != ""
}

// path reads the mailbox, the message and the part of it.
func (u *URL) path(text string) bool {
	box, message, ok := cutFold(text, "/;UID=")
	if !ok {
		return false
	}
	box, validity, has := cutFold(box, ";UIDVALIDITY=")
	if has {
		if u.UIDValidity, ok = nzNumber(validity); !ok {
			return false
		}
	}
	name, err := url.PathUnescape(box)
	if err != nil || !utf8.ValidString(name) || (name == "") != u.Selected {
		return false
	}
	if u.Mailbox = name; strings.EqualFold(name, "INBOX") {
		u.Mailbox = "INBOX"
	}
	message, auth, _ := cutFold(message, ";URLAUTH=")
	u.Access = auth
	message, expire, expires := cutFold(message, ";EXPIRE=")
	if expires {
		if u.Expire, err = time.Parse(time.RFC3339, expire); err != nil || auth == "" {
			return false
		}
	}
	message, partial, isPartial := cutFold(message, "/;PARTIAL=")
	if isPartial && !u.partial(partial) {
		return false
	}
	message, section, isSection := cutFold(message, "/;SECTION=")
	if isSection && !u.section(section) {
		return false
	}
	u.UID, ok = nzNumber(message)
	return ok
}

func nzNumber(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil && n > 0 && isDigit(text[0])
}

func (u *URL) partial(text string) bool {
	offset, count, bounded := strings.Cut(text, ".")
	var err, err2 error
	u.Partial, u.Count = true, math.MaxInt64
	u.Offset, err = strconv.ParseUint(offset, 10, 63)
	if bounded {
		u.Count, err2 = strconv.ParseUint(count, 10, 63)
	}
	return err == nil && err2 == nil && u.Count > 0
}

func (u *URL) section(text string) bool {
	spec, err := url.PathUnescape(text)
	if err != nil || spec == "" {
		return false
	}
	r := NewReader(strings.NewReader(spec+"]"), DefaultLimits(), nil)
	r.section(&u.Section, true)
	r.expect(']')
	return r.err == nil && r.Buffered() == 0
}

// authorisation reads who may use the URL, and the token (RFC 4467, section 9).
func (u *URL) authorisation(text string) bool {
	if u.Access == "" {
		_, _, there := cutFold(text, ";URLAUTH=")
		return !there
	}
	access, signed, isSigned := strings.Cut(u.Access, ":")
	head, _, _ := cutFold(text, ";URLAUTH=")
	u.Rump = text[:len(head)+len(";URLAUTH=")+len(access)]
	kind, user, ofUser := strings.Cut(access, "+")
	kind = strings.ToLower(kind)
	switch kind {
	case "submit", "user":
		name, err := url.PathUnescape(user)
		if !ofUser || name == "" || err != nil {
			return false
		}
		u.Access = kind + "+" + name
	case "authuser", "anonymous":
		if ofUser {
			return false
		}
		u.Access = kind
	default:
		return false
	}
	if isSigned {
		mechanism, token, ok := strings.Cut(signed, ":")
		u.Mechanism, u.Token = strings.ToUpper(mechanism), token
		return ok && mechanism != "" && token != ""
	}
	return true
}
