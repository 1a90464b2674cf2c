package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Records are those to publish, each once, in the order of a zone file that is read.
func Records(f Facts) []Record {
	var out []Record
	add := func(role Role, name, kind, data string, essential bool, about string) {
		out = append(out, Record{role, name, kind, data, essential, about})
	}
	for _, h := range f.Hosts {
		add(RoleMX, f.Domain, "MX", fmt.Sprint(h.Preference, " ", h.Name), true, "Mail for the domain comes to this node.")
	}
	out = append(out, f.hosts()...)
	add(RoleSPF, f.Domain, "TXT", f.spf(), true, "Who may send as the domain (SPF).")
	for _, k := range f.Keys {
		add(RoleDKIM, k.Name, "TXT", k.Text, k.Signs, "A key that mail is signed with (DKIM): "+k.State+".")
	}
	dmarc := "v=DMARC1; p=none"
	if f.Watcher != "" {
		dmarc += "; rua=mailto:" + f.Watcher
	}
	add(RoleDMARC, "_dmarc."+f.Domain, "TXT", dmarc, false, "What others do with mail that only pretends to be the domain's; p=quarantine or p=reject once the reports show no mail of your own (DMARC).")
	out = append(out, f.policy()...)
	if f.Reports != "" {
		add(RoleReports, "_smtp._tls."+f.Domain, "TXT", "v=TLSRPTv1; rua=mailto:"+f.Reports, false, "Whom others tell about TLS that failed (TLS-RPT).")
	}
	for _, s := range f.Services {
		for _, h := range f.Hosts {
			add(RoleService, s.Name+"._tcp."+f.Domain, "SRV", fmt.Sprintf("0 1 %d %s", s.Port, h.Name), false, "Mail clients find this node by it.")
		}
	}
	return unique(append(out, f.reverse()...))
}

// unique leaves out what is there already: nodes may share a name, or an address.
func unique(records []Record) (out []Record) {
	for _, r := range records {
		if !slices.ContainsFunc(out, func(is Record) bool { return is.Name == r.Name && is.Type == r.Type && is.Data == r.Data }) {
			out = append(out, r)
		}
	}
	return out
}

// hosts are the records of the nodes' own names, where these are in the domain.
func (f Facts) hosts() (out []Record) {
	for _, h := range f.Hosts {
		if !f.within(h.Name) {
			continue
		}
		for _, a := range h.Addresses {
			out = append(out, Record{RoleHost, h.Name, kindOf(a), a.String(), true, "The address of a node."})
		}
		if len(h.Addresses) == 0 {
			out = append(out, Record{RoleHost, h.Name, "A", "", true, "The address of this node, which DNS does not know yet."})
		}
		out = append(out, Record{RoleHello, h.Name, "TXT", "v=spf1 a ~all", false, "Reports have no sender: they are held against the host's name (SPF)."})
		if h.Key != "" {
			out = append(out, Record{RoleTLSA, "_25._tcp." + h.Name, "TLSA", "3 1 1 " + h.Key, false,
				"The node's certificate (DANE). Only of use where the zone is signed (DNSSEC); publish the next key's before the certificate changes."})
		}
	}
	return out
}

func (f Facts) policy() (out []Record) {
	if f.Policy == nil {
		return nil
	}
	for _, h := range f.Hosts {
		for _, a := range h.Addresses {
			out = append(out, Record{RoleSTSHost, "mta-sts." + f.Domain, kindOf(a), a.String(), f.Policy.Mode == "enforce", "A node that serves the policy."})
		}
	}
	if len(out) == 0 {
		out = append(out, Record{RoleSTSHost, "mta-sts." + f.Domain, "A", "", f.Policy.Mode == "enforce", "The address of a node that serves the policy."})
	}
	return append(out, Record{RoleSTS, "_mta-sts." + f.Domain, "TXT", "v=STSv1; id=" + f.Policy.ID, f.Policy.Mode == "enforce",
		"There is a policy about TLS, mode " + f.Policy.Mode + "; the id changes with it (MTA-STS)."})
}

// spf names the addresses that mail goes out by; without any of its own it goes out by those of the hosts.
func (f Facts) spf() string {
	if len(f.Senders) == 0 {
		return "v=spf1 mx ~all"
	}
	words := []string{"v=spf1"}
	for _, s := range f.Senders {
		words = append(words, fmt.Sprintf("ip%d:%s", map[bool]int{true: 4, false: 6}[s.Address.Is4()], s.Address))
	}
	return strings.Join(append(words, "~all"), " ")
}

// senders are the addresses that mail goes out by.
func (f Facts) senders() []Sender {
	if len(f.Senders) > 0 {
		return f.Senders
	}
	var out []Sender
	for _, h := range f.Hosts {
		for _, a := range h.Addresses {
			out = append(out, Sender{a, h.Name})
		}
	}
	return out
}

func (f Facts) reverse() (out []Record) {
	for _, s := range f.senders() {
		out = append(out, Record{RoleReverse, Reverse(s.Address), "PTR", s.Name, true,
			"The name of " + s.Address.String() + "; whoever gave you the address sets it."})
	}
	return out
}

// within reports whether a name is in the domain.
func (f Facts) within(name string) bool {
	return name == f.Domain || strings.HasSuffix(name, "."+f.Domain)
}

func kindOf(a netip.Addr) string {
	if a.Is4() {
		return "A"
	}
	return "AAAA"
}

// Reverse is the name under which the name of an address is (RFC 1035, section 3.5; RFC 3596, section 2.5).
func Reverse(a netip.Addr) string {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	b := a.As16()
	var nibbles []string
	for _, octet := range slices.Backward(b[:]) {
		nibbles = append(nibbles, fmt.Sprintf("%x.%x", octet&15, octet>>4))
	}
	return strings.Join(nibbles, ".") + ".ip6.arpa"
}
