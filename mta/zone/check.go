package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/spf"
)

// Question is what DNS is asked: a name without its last dot, and a type.
type Question struct{ Name, Type string }

// Answer is what DNS has, in the form of Record.Data; nothing where there is no such record.
type Answer struct {
	Data []string
	Err  string // why nothing is known; empty where it is
}

// State is how a record compares.
type State string

// The states of records.
const (
	OK      State = "ok"
	Missing State = "missing"
	Differs State = "differs"
	Unknown State = "unknown" // DNS does not answer now, or this program cannot tell
)

// Finding is how a record compares with what DNS has.
type Finding struct {
	Record
	State State    `json:"state"`
	Found []string `json:"found"`
	Do    string   `json:"do,omitempty"` // what to do about it
}

// Wrong reports whether mail suffers by it.
func (f Finding) Wrong() bool { return f.Essential && (f.State == Missing || f.State == Differs) }

// Questions are all that Check wants answered, each once.
func Questions(f Facts) []Question {
	var out []Question
	ask := func(q Question) {
		if !slices.Contains(out, q) {
			out = append(out, q)
		}
	}
	for _, r := range Records(f) {
		ask(Question{r.Name, r.Type})
		if r.Role == RoleSTSHost {
			ask(Question{r.Name, "A"})
			ask(Question{r.Name, "AAAA"})
		}
	}
	for _, kind := range []string{"A", "AAAA"} { // that SPF's "a" means
		ask(Question{f.Domain, kind})
	}
	return out
}

// Check compares the records to publish with answers. A question without an answer is Unknown.
func Check(f Facts, answers map[Question]Answer) []Finding {
	c := check{f, answers}
	var out []Finding
	stsHost := false
	for _, r := range Records(f) {
		switch r.Role {
		case RoleSTSHost:
			if !stsHost {
				out = append(out, c.stsHost(r))
			}
			stsHost = true
			continue
		}
		out = append(out, c.record(r))
	}
	return append(append(out, c.strangers()...), c.foreign()...)
}

type check struct {
	f       Facts
	answers map[Question]Answer
}

func (c check) record(r Record) Finding {
	a, asked := c.answers[Question{r.Name, r.Type}]
	f := Finding{Record: r, Found: a.Data, State: Unknown, Do: "DNS gave no answer, ask again: " + a.Err}
	if !asked || a.Err != "" {
		return f
	}
	judge := map[Role]func(*Finding){RoleMX: c.mx, RoleSPF: c.spf, RoleHello: c.hello, RoleDKIM: tagged("DKIM"), RoleDMARC: policy, RoleSTS: sts,
		RoleReports: reports, RoleTLSA: tlsa, RoleService: c.service, RoleReverse: reverse}[r.Role]
	f.State, f.Do = Missing, "Publish it: "+r.Name+". "+r.Type+" "+Presentation(r)
	switch {
	case r.Data == "":
		f.Do = "Give " + r.Name + " an address."
	case slices.Contains(a.Data, r.Data):
		f.State, f.Do = OK, ""
	}
	if judge != nil && r.Data != "" {
		judge(&f)
	}
	return f
}

// mx is content with any preference. As long as another node takes the mail, one that is not there is no harm.
func (c check) mx(f *Finding) {
	host := hostOf(f.Data)
	ours := false
	for _, d := range f.Found {
		if hostOf(d) == host {
			f.State, f.Do = OK, ""
			return
		}
		ours = ours || c.node(hostOf(d))
	}
	f.Essential = !ours
}

func hostOf(data string) string { return data[strings.LastIndexByte(data, ' ')+1:] }

func (c check) node(name string) bool {
	return slices.ContainsFunc(c.f.Hosts, func(h Host) bool { return h.Name == name })
}

// strangers are hosts that take mail for the domain and are no nodes.
func (c check) strangers() (out []Finding) {
	q := Question{c.f.Domain, "MX"}
	for _, d := range c.answers[q].Data {
		if !c.node(hostOf(d)) {
			out = append(out, Finding{Record: Record{Role: RoleMX, Name: q.Name, Type: q.Type, About: "Where mail for the domain comes."}, State: Differs, Found: []string{d},
				Do: hostOf(d) + " takes mail for the domain as well, and is no node of this cluster: take the record away, unless you know why it is there."})
		}
	}
	return out
}

// foreign are nodes whose names are in another zone and have no address there.
func (c check) foreign() (out []Finding) {
	for _, h := range c.f.Hosts {
		if !c.f.within(h.Name) && len(h.Addresses) == 0 {
			out = append(out, Finding{Record: Record{Role: RoleHost, Name: h.Name, Type: "A", Essential: true, About: "The address of a node."}, State: Missing,
				Do: "Give " + h.Name + " an address: no mail can come to this node."})
		}
	}
	return out
}

func (c check) spf(f *Finding) {
	texts := beginning(f.Found, "v=spf1")
	f.Found = texts
	switch len(texts) {
	case 0:
		f.State, f.Do = Missing, "Publish it: "+f.Name+". TXT "+Presentation(f.Record)
		return
	case 1:
	default:
		f.State, f.Do = Differs, "There are two SPF records, which counts as none (RFC 7208, section 4.5): make them one."
		return
	}
	if err := spf.Valid(texts[0]); err != nil {
		f.State, f.Do = Differs, fmt.Sprintf("Others take it for none at all, since it has a fault (RFC 7208, section 4.6): %v. Mend it, or publish %q.", err, f.Data)
		return
	}
	f.State, f.Do = OK, ""
	for _, s := range c.f.senders() {
		switch c.covers(texts[0], s.Address) {
		case Differs:
			f.State, f.Do = Differs, fmt.Sprintf("Mail goes out by %s, which the record does not allow: add it, as in %q.", s.Address, f.Data)
			return
		case Unknown:
			f.State, f.Do = Unknown, fmt.Sprintf("Whether %s may send hangs on what the record includes, which is not followed here.", s.Address)
		}
	}
}

func (c check) hello(f *Finding) {
	f.Found = beginning(f.Found, "v=spf1")
	switch len(f.Found) {
	case 0:
		f.State = Missing
	case 1:
		f.State, f.Do = OK, ""
		if err := spf.Valid(f.Found[0]); err != nil {
			f.State, f.Do = Differs, fmt.Sprintf("It has a fault: %v. Publish %q.", err, f.Data)
		}
	default:
		f.State, f.Do = Differs, "There are two SPF records, which counts as none: make them one."
	}
}

// stsHost is content with any name that leads to a node; elsewhere a web server may have the policy.
func (c check) stsHost(r Record) Finding {
	f := Finding{Record: r, State: Missing, Do: "Give " + r.Name + " the addresses of nodes that serve it ([https] in rookery.toml), and have their certificates name it."}
	for _, kind := range []string{"A", "AAAA"} {
		a := c.answers[Question{r.Name, kind}]
		if a.Err != "" && len(f.Found) == 0 {
			f.State, f.Do = Unknown, "DNS gave no answer, ask again: "+a.Err
		}
		f.Found = append(f.Found, a.Data...)
	}
	if len(f.Found) == 0 {
		return f
	}
	f.State, f.Do = OK, ""
	for _, address := range f.Found {
		if !slices.ContainsFunc(c.f.Hosts, func(h Host) bool {
			return slices.ContainsFunc(h.Addresses, func(a netip.Addr) bool { return a.String() == address })
		}) {
			f.State, f.Do = Unknown, address+" is no node's address: the web server there has to serve the policy that `rookery domain mta-sts "+c.f.Domain+"` shows."
			f.Essential = false
		}
	}
	return f
}

// service is content with other hosts: a name for all nodes, as mail.example.org.
func (c check) service(f *Finding) {
	if f.State != OK && len(f.Found) > 0 {
		f.State, f.Do = OK, ""
	}
}

func reverse(f *Finding) {
	if f.State == OK {
		return
	}
	f.Do = "Have whoever gave you the address set its name to " + f.Data + "; many hosts refuse mail from an address without."
	if len(f.Found) > 0 {
		f.State, f.Do = Differs, "The address is called "+f.Found[0]+": have it called "+f.Data+", or set the name in EHLO to that (smtp.hostname, or `rookery egress set --hello`)."
	}
}
