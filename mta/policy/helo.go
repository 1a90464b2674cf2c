package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// Hello is how a client greeted, and what is known beside.
type Hello struct {
	Name   string // as it said it
	Remote netip.Addr
	Ours   bool         // Name is that of a node or a domain of ours
	Local  netip.Addr   // where it connected to
	State  Knowledge    // of the addresses of Name; Known also where they were not asked for
	Leads  []netip.Addr // what Name leads to; none where it was not asked for
}

// JudgeHello says what a greeting is worth (RFC 5321, sections 2.3.5 and 4.1.4).
func JudgeHello(h Hello, m Mode) (inbound.Finding, *mta.Reply) {
	if m == Off {
		return inbound.Finding{}, nil
	}
	f := inbound.Finding{Check: "helo", Result: "fail"}
	name := strings.ToLower(strings.TrimSuffix(h.Name, "."))
	literal, isLiteral := Literal(name)
	remote := h.Remote.Unmap()
	switch {
	case h.Ours:
		f.Score, f.Detail = heloOurs, clean(h.Name)+" is one of us"
	case isLiteral && literal == h.Local.Unmap() && literal != remote:
		f.Score, f.Detail = heloOurs, clean(h.Name)+" is our address"
	case isLiteral && literal != remote:
		f.Score, f.Detail = heloAddress, fmt.Sprintf("%s is not %v", clean(h.Name), remote)
	case isLiteral:
		f.Result, f.Detail = "neutral", clean(h.Name)+" is the client's address"
		return f, nil
	case !hostName(name):
		f.Score, f.Detail = heloBare, clean(h.Name)+" is no name of a host"
	case h.State == Missing:
		f.Score, f.Detail = heloUnknown, "DNS does not know "+clean(h.Name)
		return f, nil
	case slices.Contains(h.Leads, remote):
		f.Result, f.Detail = "pass", fmt.Sprintf("%s leads to %v", clean(h.Name), remote)
		return f, nil
	default:
		f.Result, f.Detail = "neutral", clean(h.Name)
		return f, nil
	}
	if m == Refuse {
		return f, mta.Replyf(550, mta.NotAuthorized, "You greet as %s, and %s", clean(h.Name), f.Detail)
	}
	return f, nil
}

// Literal reads an address as a greeting has it, in brackets (RFC 5321, section 4.1.3) or without them, as some write it.
func Literal(name string) (netip.Addr, bool) {
	name = strings.ToLower(name)
	if rest, ok := strings.CutPrefix(name, "["); ok {
		name = strings.TrimPrefix(strings.TrimSuffix(rest, "]"), "ipv6:")
	}
	addr, err := netip.ParseAddr(name)
	return addr.Unmap().WithZone(""), err == nil
}

// hostName reports whether a name may be one of a host: two labels at least, of letters, digits and hyphens. An underscore
// is let pass: Windows allows it in names, and so do senders of wanted mail.
func hostName(name string) bool {
	labels := strings.Split(name, ".")
	if len(labels) < 2 || len(name) > 253 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for i := 0; i < len(l); i++ {
			if c := l[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c < 0x80 {
				return false
			}
		}
	}
	return true
}
