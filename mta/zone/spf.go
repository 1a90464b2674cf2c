package zone

import (
	"net/netip"
	"slices"
	"strings"
)

// covers says whether an SPF record (RFC 7208) allows an address: OK, Differs for no, Unknown where it hangs on what is
// not known here.
func (c check) covers(text string, a netip.Addr) State {
	verdict := Differs
	for _, word := range strings.Fields(strings.ToLower(text))[1:] {
		word, allows := strings.CutPrefix(word, "+")
		allows = allows || !strings.ContainsAny(word[:min(1, len(word))], "-~?")
		switch matches := c.matches(strings.TrimLeft(word, "-~?"), a); {
		case matches == OK && allows:
			return OK
		case matches == OK:
			return verdict
		case matches == Unknown && allows:
			verdict = Unknown
		}
	}
	return verdict
}

// matches says whether one mechanism or modifier is about an address.
func (c check) matches(word string, a netip.Addr) State {
	name, value, named := strings.Cut(word, ":")
	yes := false
	switch {
	case name == "ip4" || name == "ip6":
		yes = within(value, a)
	case word == "all":
		yes = true
	case word == "mx" && c.answers[Question{c.f.Domain, "MX"}].Err == "":
		yes = c.hostHas(a)
	case word == "a" && c.answers[Question{c.f.Domain, kindOf(a)}].Err == "":
		yes = slices.Contains(c.answers[Question{c.f.Domain, kindOf(a)}].Data, a.String())
	case named || word == "mx" || word == "a" || strings.HasPrefix(word, "redirect=") || strings.HasPrefix(word, "a/") || strings.HasPrefix(word, "mx/") || word == "ptr":
		return Unknown
	}
	if yes {
		return OK
	}
	return Differs
}

func within(network string, a netip.Addr) bool {
	if p, err := netip.ParsePrefix(network); err == nil {
		return p.Contains(a)
	}
	one, err := netip.ParseAddr(network)
	return err == nil && one == a
}

// hostHas reports whether a host that DNS names for the domain's mail has an address.
func (c check) hostHas(a netip.Addr) bool {
	mx := c.answers[Question{c.f.Domain, "MX"}].Data
	return slices.ContainsFunc(c.f.Hosts, func(h Host) bool {
		return slices.Contains(h.Addresses, a) && slices.ContainsFunc(mx, func(d string) bool { return hostOf(d) == h.Name })
	})
}
