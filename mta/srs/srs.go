// Package srs rewrites the envelope senders of mail that is sent on, so that it passes SPF where it goes and its bounces
// find back (Sender Rewriting Scheme, http://www.openspf.org/SRS): ann@example.net becomes
// SRS0=HASH=DAY=example.net=ann@ours, and a sender that somebody else rewrote becomes
// SRS1=HASH=theirs==theirs-rest@ours, so that addresses do not grow with each hop. Keys and time come in as
// parameters. Hash and day are Base32, since the case of an address may be changed on the way.
package srs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/address"
)

// ErrAddress says that an address was not made here, or too long ago.
var ErrAddress = errors.New("not a rewritten address of this server, or its time is over")

// ErrSender says that a sender cannot be rewritten.
var ErrSender = errors.New("a sender that cannot be rewritten")

// Life is for how long bounces find back, in days.
const Life = 21

const (
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	days     = 32 * 32
	hashed   = 6 // characters, of five bits
	first    = "SRS0"
	later    = "SRS1"
)

// Rewrite gives the sender of a message that a domain of ours sends on. The null sender stays what it is. The error is
// ErrSender.
func Rewrite(sender, domain string, secret []byte, now time.Time) (string, error) {
	if sender == "" {
		return "", nil
	}
	a, err := address.Parse(sender)
	if err != nil || a.IsLiteral() {
		return "", fmt.Errorf("%.100q: %w", sender, ErrSender)
	}
	var local string
	switch kind, rest := cutKind(a.Local); kind {
	case first:
		local = later + "=" + seal(secret, a.Domain, rest) + "=" + a.Domain + "=" + rest
	case later:
		if _, host, deep, ok := cutLater(rest); ok {
			local = later + "=" + seal(secret, host, deep) + "=" + host + "=" + deep
			break
		}
		fallthrough
	default:
		day := dayText(now)
		local = first + "=" + seal(secret, day, a.Domain, a.Local) + "=" + day + "=" + a.Domain + "=" + a.Local
	}
	out := address.Address{Local: local, Domain: domain}.String()
	if back, err := address.Parse(out); err != nil || back.Local != local || back.Domain != domain {
		return "", fmt.Errorf("%.100q becomes too long: %w", sender, ErrSender)
	}
	return out, nil
}

// Rewritten reports whether an address looks as if it had been rewritten, whoever did it.
func Rewritten(text string) bool {
	a, err := address.Parse(text)
	if err != nil {
		return false
	}
	kind, _ := cutKind(a.Local)
	return kind != ""
}

// Restore gives the address that stood where a recipient now stands that Rewrite made with one of the secrets. The
// error is ErrAddress.
func Restore(text string, secrets [][]byte, now time.Time) (string, error) {
	wrong := fmt.Errorf("<%.100s>: %w", text, ErrAddress)
	a, err := address.Parse(text)
	if err != nil {
		return "", wrong
	}
	var back address.Address
	var hash string
	var sealed []string
	switch kind, rest := cutKind(a.Local); kind {
	case first:
		parts := strings.SplitN(rest[1:], "=", 4)
		if len(parts) != 4 || !current(parts[1], now) {
			return "", wrong
		}
		hash, sealed = parts[0], parts[1:]
		back = address.Address{Local: parts[3], Domain: parts[2]}
	case later:
		h, host, deep, ok := cutLater(rest)
		if !ok {
			return "", wrong
		}
		hash, sealed = h, []string{host, deep}
		back = address.Address{Local: first + deep, Domain: host}
	default:
		return "", wrong
	}
	for _, secret := range secrets {
		if hmac.Equal([]byte(strings.ToUpper(hash)), []byte(seal(secret, sealed...))) {
			if a, err := address.Parse(back.String()); err == nil && !a.IsLiteral() {
				return a.String(), nil
			}
		}
	}
	return "", wrong
}

// cutKind splits a local part that was rewritten. rest begins with the separator, which others also write as + or -.
func cutKind(local string) (kind, rest string) {
	if len(local) < 6 || strings.IndexByte("=+-", local[4]) < 0 {
		return "", ""
	}
	switch kind := strings.ToUpper(local[:4]); kind {
	case first, later:
		return kind, local[4:]
	}
	return "", ""
}

// cutLater splits what is behind SRS1: the hash, the first host that rewrote, and what it wrote behind SRS0, with its
// separator.
func cutLater(rest string) (hash, host, deep string, ok bool) {
	parts := strings.SplitN(rest[1:], "=", 3)
	if len(parts) != 3 || len(parts[2]) < 2 || strings.IndexByte("=+-", parts[2][0]) < 0 {
		return "", "", "", false
	}
	host, err := address.ParseDomain(parts[1])
	return parts[0], host, parts[2], err == nil
}

// seal is the hash of what an address is made of.
func seal(secret []byte, parts ...string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("srs\x00" + strings.ToLower(strings.Join(parts, "\x00"))))
	return base32.NewEncoding(alphabet).EncodeToString(mac.Sum(nil))[:hashed]
}

func dayOf(now time.Time) int { return int(now.Unix() / (24 * 60 * 60) % days) }

func dayText(now time.Time) string {
	d := dayOf(now)
	return string([]byte{alphabet[d/32], alphabet[d%32]})
}

// current reports whether a day is within Life before now, or tomorrow: clocks differ.
func current(day string, now time.Time) bool {
	if len(day) != 2 {
		return false
	}
	day = strings.ToUpper(day)
	high, low := strings.IndexByte(alphabet, day[0]), strings.IndexByte(alphabet, day[1])
	if high < 0 || low < 0 {
		return false
	}
	age := (dayOf(now) - (high*32 + low) + days) % days
	return age <= Life || age == days-1
}
