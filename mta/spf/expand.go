package spf

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// target is the name that a domain-spec stands for: without its last dot, and cut from the left to what a name may have
// (RFC 7208, section 7.3). The error is errForeign.
func (c *check) target(ctx context.Context, domain string, spec macros) (string, error) {
	name, err := spec.expand(func(letter byte) (string, error) { return c.value(ctx, domain, letter) }, true)
	if err != nil {
		return "", err
	}
	name = strings.TrimSuffix(name, ".")
	for len(name) > 253 {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			break // no name; whoever asks for it sees that
		}
		name = rest
	}
	return strings.ToLower(name), nil
}

// value is what a macro stands for (RFC 7208, section 7.2).
func (c *check) value(ctx context.Context, domain string, letter byte) (string, error) {
	ip := c.q.Client
	switch letter {
	case 's', 'l':
		for i := range len(c.local) {
			if c.local[i] >= 0x80 {
				return "", errForeign
			}
		}
		if letter == 'l' {
			return c.local, nil
		}
		return c.local + "@" + c.sender, nil
	case 'o':
		return c.sender, nil
	case 'd':
		return domain, nil
	case 'i':
		return dotted(ip), nil
	case 'p':
		return c.validated(ctx, domain), nil
	case 'v':
		if ip.Is4() {
			return "in-addr", nil
		}
		return "ip6", nil
	case 'h':
		return c.q.Helo, nil
	case 'c':
		return ip.String(), nil
	case 'r':
		if c.q.Receiver == "" {
			return "unknown", nil
		}
		return c.q.Receiver, nil
	case 't':
		return strconv.FormatInt(c.q.Time.Unix(), 10), nil
	}
	return "", fmt.Errorf("there is no macro %q", letter)
}

// dotted is an address as %{i} has it: four numbers, or 32 hexadecimal digits.
func dotted(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 63)
	for i, o := range ip.As16() {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, hex[o>>4], '.', hex[o&15])
	}
	return string(b)
}

// validated is the name of the client: the domain itself rather than one below it, that rather than another; "unknown" where
// none leads back.
func (c *check) validated(ctx context.Context, domain string) string {
	names := c.clientNames(ctx)
	for _, fits := range []func(string) bool{
		func(n string) bool { return n == domain },
		func(n string) bool { return within(n, domain) },
		func(string) bool { return true },
	} {
		for _, n := range names {
			if fits(n) && c.leadsBack(ctx, n) {
				return n
			}
		}
	}
	return "unknown"
}

// maxExplanation bounds the words of a stranger that get into replies, in octets.
const maxExplanation = 400

// explain gets what a domain says of a Fail (RFC 7208, section 6.2). Whatever is wrong with that, there is none then.
func (c *check) explain(ctx context.Context, d decision) string {
	domain := d.path[len(d.path)-1]
	name, err := c.target(ctx, domain, d.exp)
	if err != nil || !isName(name) {
		return ""
	}
	texts, err := c.r.Texts(ctx, name)
	if err != nil || len(texts) != 1 {
		return ""
	}
	spec, err := parseMacros(texts[0], true)
	if err != nil {
		return ""
	}
	text, err := spec.expand(func(letter byte) (string, error) { return c.value(ctx, domain, letter) }, false)
	if err != nil || len(text) > maxExplanation {
		return ""
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > 0x7e {
			return "" // of the HELO name, perhaps
		}
	}
	return text
}
