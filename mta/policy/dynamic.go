package policy

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// pool are words that providers put into names of lines that they lend out; static ones are named by others.
var (
	pool  = regexp.MustCompile(`(^|[.0-9-])(dyn|dynamic|dynip|dhcp|dial|dialup|dialin|pool|pools|ppp|pppoe|adsl|dsl|vdsl|xdsl|cable|cust|customer|client|broadband|bband|ftth|fttx|catv|hsd|wlan|mobile|umts|lte|nat|res|residential|unassigned|dip)([.0-9-]|$)`)
	fixed = regexp.MustCompile(`(^|[.0-9-])(static|mail|mx|smtp|mta|mout|relay|out|outbound|mailer|server|srv)[0-9]*([.-]|$)`)
)

// Dynamic reports whether a name looks as if a provider made it out of the address, for a line that is lent out: it has the
// address in it, whole or its last half, or a word such as dyn; a name that also says static or mail is not.
func Dynamic(name string, addr netip.Addr) bool {
	name = strings.ToLower(name)
	if fixed.MatchString(name) {
		return false
	}
	host, _, found := strings.Cut(name, ".")
	if !found || strings.Count(name, ".") < 2 {
		return false // example.org itself, or a name below it
	}
	if pool.MatchString(name) {
		return true
	}
	addr = addr.Unmap()
	if !addr.Is4() {
		return sixth(host, addr)
	}
	o := addr.As4()
	for _, form := range []string{"%d-%d-%d-%d", "%d.%d.%d.%d", "%d_%d_%d_%d", "%03d%03d%03d%03d", "%02x%02x%02x%02x", "%03d-%03d-%03d-%03d"} {
		if strings.Contains(name, fmt.Sprintf(form, o[0], o[1], o[2], o[3])) || strings.Contains(name, fmt.Sprintf(form, o[3], o[2], o[1], o[0])) {
			return true
		}
	}
	return strings.Contains(host, fmt.Sprintf("%d-%d-%d", o[1], o[2], o[3])) || strings.Contains(host, fmt.Sprintf("%d-%d-%d", o[3], o[2], o[1]))
}

// sixth looks for an IPv6 address in a name: its last 64 bits, with or without marks between them.
func sixth(host string, addr netip.Addr) bool {
	o := addr.As16()
	bare := strings.NewReplacer("-", "", "_", "", "x", "").Replace(host)
	return strings.Contains(bare, fmt.Sprintf("%x", o[8:])) || strings.Contains(host, strings.ReplaceAll(addr.String(), ":", "-"))
}
