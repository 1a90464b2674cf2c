// Package batv tags envelope senders, so that a bounce to an address that never sent is known for what it is (Bounce
// Address Tag Validation, draft-levine-smtp-batv-01): ann@example.org becomes prvs=1234567890=ann@example.org.
// The tag has a key's number, the day on which it ends, and a hash. Keys and time come in as parameters.
package batv

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/address"
)

// ErrTag says that a tag is not one of ours, or too old.
var ErrTag = errors.New("not a tag of this server, or its time is over")

// Life is for how long a tag holds, in days: longer than any queue tries, with its report.
const Life = 14

const (
	prefix  = "prvs="
	numbers = 10             // of keys, one digit
	days    = 1000           // three digits
	hashed  = 6              // hexadecimal digits
	tagged  = 1 + 3 + hashed // K DDD SSSSSS
)

// Key is a secret with its number; keys in use at the same time have numbers that differ modulo 10.
type Key struct {
	Number uint64
	Secret []byte
}

// Tag tags a sender. One that is no address, or whose local part would be longer than other servers take (RFC 5321,
// section 4.5.3.1.1), comes back as it is.
func Tag(sender string, key Key, now time.Time) string {
	a, err := address.Parse(sender)
	if err != nil || len(prefix)+tagged+1+len(a.Local) > address.MaxLocal {
		return sender
	}
	day := strconv.FormatInt((dayOf(now)+Life)%days+days, 10)[1:]
	a.Local = prefix + key.tag(day, a) + "=" + a.Local
	return a.String()
}

// Fits reports whether Tag tags an address.
func Fits(sender string) bool { return Tag(sender, Key{}, time.Unix(0, 0)) != sender }

// Tagged reports whether an address looks as if it had a tag, whoever made it.
func Tagged(text string) bool {
	a, err := address.Parse(text)
	if err != nil {
		return false
	}
	_, _, ok := cut(a.Local)
	return ok
}

// Untag takes the tag off a recipient; tagged is false for an address without one, which comes back as it is. The error is
// ErrTag.
func Untag(text string, keys []Key, now time.Time) (plain string, tagged bool, err error) {
	a, err := address.Parse(text)
	if err != nil {
		return text, false, nil
	}
	tag, local, ok := cut(a.Local)
	if !ok {
		return text, false, nil
	}
	a.Local = local
	for _, k := range keys {
		if k.digit() == tag[0] && hmac.Equal([]byte(strings.ToLower(tag)), []byte(k.tag(tag[1:4], a))) && current(tag[1:4], now) {
			return a.String(), true, nil
		}
	}
	return "", true, fmt.Errorf("<%s>: %w", text, ErrTag)
}

// cut splits the local part of a tagged address.
func cut(local string) (tag, plain string, ok bool) {
	n := len(prefix) + tagged
	if len(local) < n+2 || !strings.EqualFold(local[:len(prefix)], prefix) || local[n] != '=' {
		return "", "", false
	}
	tag = local[len(prefix):n]
	for i := range tag[:4] {
		if tag[i] < '0' || tag[i] > '9' {
			return "", "", false
		}
	}
	return tag, local[n+1:], true
}

// current reports whether a day is none of the past and not further than Life.
func current(day string, now time.Time) bool {
	n, err := strconv.ParseInt(day, 10, 64)
	left := (n - dayOf(now)%days + days) % days
	return err == nil && left <= Life
}

func dayOf(now time.Time) int64 { return now.Unix() / (24 * 60 * 60) }

func (k Key) digit() byte { return byte('0' + k.Number%numbers) }

// tag is the tag of an address whose last day is given. The case of an address makes no difference: it may be
// changed on the way.
func (k Key) tag(day string, a address.Address) string {
	head := string(k.digit()) + day
	mac := hmac.New(sha256.New, k.Secret)
	mac.Write([]byte("batv\x00" + head + strings.ToLower(a.String())))
	return head + hex.EncodeToString(mac.Sum(nil))[:hashed]
}
