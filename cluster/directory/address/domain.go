package address

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// maxDomain is the longest domain name in octets without its final dot.
const maxDomain = 253

// ParseDomain reads a domain name in A-labels or U-labels, of any case, with or without a final dot,
// and gives its lower-case A-label form, under which it is kept and compared (RFC 5890, section
// 2.3.2.1; UTS #46 mapping). The error is ErrSyntax with what is wrong.
func ParseDomain(text string) (string, error) {
	name := strings.TrimSuffix(text, ".")
	if !isASCII(name) || strings.Contains(lowerASCII(name), "xn--") {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("domain %q: %v: %w", text, err, ErrSyntax)
		}
		name = strings.TrimSuffix(ascii, ".")
	}
	name = lowerASCII(name)
	if name == "" || len(name) > maxDomain {
		return "", fmt.Errorf("domain %q of %d octets: %w", text, len(name), ErrSyntax)
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("domain %q: label %q: %w", text, label, ErrSyntax)
		}
	}
	return name, nil
}

// UnicodeDomain gives the U-label form of a domain, for people. A name that has none stays as it is.
func UnicodeDomain(domain string) string {
	if !strings.Contains(domain, "xn--") {
		return domain
	}
	unicode, err := idna.Display.ToUnicode(domain)
	if err != nil {
		return domain
	}
	return unicode
}

// isLabel is the LDH rule of RFC 5890, section 2.3.1, for lower case.
func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := 0; i < len(label); i++ {
		c := label[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// parseHost reads a domain or an address literal (RFC 5321, section 4.1.3) to the end of text.
func parseHost(text string) (string, error) {
	if !strings.HasPrefix(text, "[") {
		return ParseDomain(text)
	}
	inner, ok := strings.CutSuffix(text[1:], "]")
	if !ok {
		return "", fmt.Errorf("an address literal without its end: %w", ErrSyntax)
	}
	six := len(inner) >= 5 && strings.EqualFold(inner[:5], "IPv6:")
	if six {
		inner = inner[5:]
	}
	ip, err := netip.ParseAddr(inner)
	if err != nil || ip.Zone() != "" || ip.Is6() != six {
		return "", fmt.Errorf("address literal %q: %w", text, ErrSyntax)
	}
	if six {
		return "[IPv6:" + ip.String() + "]", nil
	}
	return "[" + ip.String() + "]", nil
}
