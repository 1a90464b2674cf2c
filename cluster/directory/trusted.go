package directory

import (
	"fmt"
	"net/netip"
	"strings"
)

// maxTrusted bounds how many networks the setting trusted_networks may name.
const maxTrusted = 64

// networksSetting is for a list of networks in CIDR form, apart by spaces or commas.
func networksSetting(field func(*Settings) *string) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' })
		if len(words) > maxTrusted {
			return "", fmt.Errorf("more than %d networks", maxTrusted)
		}
		for i, word := range words {
			p, err := netip.ParsePrefix(word)
			if err != nil {
				return "", fmt.Errorf("%s is no network", word)
			}
			words[i] = p.Masked().String()
		}
		*field(s) = strings.Join(words, " ")
		return *field(s), nil
	}
}

// Trusts reports whether an address is in a network that no ban locks out.
func (s Settings) Trusts(addr netip.Addr) bool { return within(s.TrustedNetworks, addr) }

// Unchecked reports whether mail from an address is taken without checks.
func (s Settings) Unchecked(addr netip.Addr) bool { return within(s.UncheckedNetworks, addr) }

func within(networks string, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, word := range strings.Fields(networks) {
		if p, err := netip.ParsePrefix(word); err == nil && p.Contains(addr) {
			return true
		}
	}
	return false
}
