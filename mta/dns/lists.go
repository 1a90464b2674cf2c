package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// Lists gives answers as cores want it that do not know this package's errors: that there is nothing is an empty list, an error is
// always temporary. What vouches for an answer is left out. Names are octets between dots here, whatever these are, and not in the
// form of zone files: a backslash is one.
type Lists struct{ Resolver *Resolver }

// Kept gives the answers that are kept, and an error in place of all others: it never waits.
func (l Lists) Kept() Lists {
	c := l.Resolver.c
	c.Servers = nil
	return Lists{&Resolver{c: c, cache: l.Resolver.cache}}
}

// maxRecordsOfName bounds what a list has; an answer that is longer is cut.
const maxRecordsOfName = 100

func (l Lists) ask(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	a, err := l.Resolver.ask(ctx, presentation(name), kind)
	if err != nil && !final(err) {
		return nil, err
	}
	return a.records[:min(len(a.records), maxRecordsOfName)], nil
}

// Texts are the TXT records of a name, the strings of each put together.
func (l Lists) Texts(ctx context.Context, name string) ([]string, error) {
	a, err := l.Resolver.ask(ctx, presentation(name), dns.TypeTXT)
	if err != nil && !final(err) {
		return nil, fmt.Errorf("look up texts of %s: %w", presentation(name), err)
	}
	return textsOf(a.records), nil
}

// A are the IPv4 addresses of a name.
func (l Lists) A(ctx context.Context, name string) (out []netip.Addr, err error) {
	records, err := l.ask(ctx, name, dns.TypeA)
	for _, rr := range records {
		if a, ok := rr.(*dns.A); ok {
			if addr, ok := netip.AddrFromSlice(a.A.To4()); ok {
				out = append(out, addr)
			}
		}
	}
	return out, err
}

// AAAA are the IPv6 addresses of a name.
func (l Lists) AAAA(ctx context.Context, name string) (out []netip.Addr, err error) {
	records, err := l.ask(ctx, name, dns.TypeAAAA)
	for _, rr := range records {
		if a, ok := rr.(*dns.AAAA); ok {
			if addr, ok := netip.AddrFromSlice(a.AAAA.To16()); ok {
				out = append(out, addr)
			}
		}
	}
	return out, err
}

// Exchangers are the hosts of a name's MX records in the order in which they came; that of a null MX is "", as is one that has no
// form without escapes.
func (l Lists) Exchangers(ctx context.Context, name string) (out []string, err error) {
	records, err := l.ask(ctx, name, dns.TypeMX)
	for _, rr := range records {
		if mx, ok := rr.(*dns.MX); ok {
			out = append(out, plain(canonical(mx.Mx)))
		}
	}
	return out, err
}

// Names are those that an address is said to have (PTR).
func (l Lists) Names(ctx context.Context, address netip.Addr) ([]string, error) {
	names, err := l.Resolver.Names(ctx, address)
	if err != nil && !final(err) {
		return nil, err
	}
	for i := range names {
		names[i] = plain(names[i])
	}
	return names, nil
}

// Exists reports whether a name is there, with records or with names below it (RFC 8020).
func (l Lists) Exists(ctx context.Context, name string) (bool, error) {
	_, err := l.Resolver.ask(ctx, presentation(name), dns.TypeA)
	if errors.Is(err, ErrNoName) {
		return false, nil
	}
	if err != nil && !final(err) {
		return false, err
	}
	return true, nil
}
