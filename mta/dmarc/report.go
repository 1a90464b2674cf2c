package dmarc

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/address"
)

// maxAddresses is how many addresses for reports of a record count.
const maxAddresses = 10

// Address is where reports go.
type Address struct {
	Mailbox string // of a mailto: URI, decoded; its domain in A-labels and lower case
	Most    int64  // octets that are taken (RFC 7489, section 6.3); 0: any number
}

// Domain is that of the mailbox.
func (a Address) Domain() string { return a.Mailbox[strings.LastIndexByte(a.Mailbox, '@')+1:] }

// parseURIs reads a list of URIs: those that are mailboxes, and how many URIs there are in all.
func parseURIs(list string) (out []Address, uris int) {
	for text := range strings.SplitSeq(list, ",") {
		text = strings.Trim(text, " \t")
		scheme, rest, ok := strings.Cut(text, ":")
		if !ok || scheme == "" || rest == "" || strings.ContainsFunc(scheme, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789+-.", r|0x20) }) {
			continue
		}
		if !strings.EqualFold(scheme, "mailto") {
			uris++
			continue
		}
		if a, ok := parseMailto(rest); ok {
			if uris++; len(out) < maxAddresses && !slices.ContainsFunc(out, func(b Address) bool { return a.Mailbox == b.Mailbox }) {
				out = append(out, a)
			}
		}
	}
	return out, uris
}

// parseMailto reads what is behind "mailto:": an address, and the size of RFC 7489.
func parseMailto(text string) (Address, bool) {
	text, size, sized := strings.Cut(text, "!")
	text, _, _ = strings.Cut(text, "?")
	text, err := url.PathUnescape(text)
	at := strings.LastIndexByte(text, '@')
	if err != nil || at <= 0 || at > 64 || strings.ContainsFunc(text[:at], func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`<>(),;:"[]\@`, r) }) {
		return Address{}, false
	}
	d, err := address.ParseDomain(text[at+1:])
	if err != nil {
		return Address{}, false
	}
	a := Address{Mailbox: text[:at] + "@" + d}
	if sized {
		a.Most = parseSize(size)
	}
	return a, true
}

// parseSize reads a number of octets with k, m, g or t behind it, each 1024 of the one before. 0: it is none.
func parseSize(s string) int64 {
	unit := int64(1)
	if n := len(s); n > 0 {
		if i := strings.IndexByte("kmgt", s[n-1]|0x20); i >= 0 {
			s, unit = s[:n-1], 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	if n > math.MaxInt64/unit {
		return math.MaxInt64
	}
	return n * unit
}

// Destinations are those of a record's addresses that want reports about the domain that it was found at: addresses of the same
// organisation, and others whose domain says so (RFC 9990, section 4; RFC 7489, section 7.1). An error is temporary: who is told of by
// then comes with it.
func Destinations(ctx context.Context, policyDomain string, list []Address, l Lookup) (out []Address, err error) {
	w := newWalker(l)
	home, first := w.organisation(ctx, policyDomain)
	for _, a := range list {
		if a.Domain() == policyDomain {
			out = append(out, a)
			continue
		}
		same, e := false, error(nil)
		if first == nil && within(a.Domain(), home) {
			var other string
			other, e = w.organisation(ctx, a.Domain())
			same = e == nil && other == home
		}
		if same {
			out = append(out, a)
			continue
		}
		to, e2 := external(ctx, policyDomain, a, l)
		out = append(out, to...)
		if first == nil && len(to) == 0 {
			if first = e; e2 != nil {
				first = e2
			}
		}
	}
	return out, first
}

// external asks whether a domain takes reports about another. It may name an address of its own in place of the one that was
// published.
func external(ctx context.Context, about string, a Address, l Lookup) ([]Address, error) {
	texts, err := l.Texts(ctx, about+"._report._dmarc."+a.Domain())
	if err != nil {
		return nil, fmt.Errorf("look up whether %s takes reports about %s: %w", a.Domain(), about, err)
	}
	for _, text := range texts {
		r, err := ParseRecord(text)
		if err != nil {
			continue
		}
		for _, b := range r.Aggregate {
			if b.Domain() == a.Domain() { // never further on
				return []Address{b}, nil
			}
		}
		return []Address{a}, nil
	}
	return nil, nil
}
