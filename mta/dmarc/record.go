package dmarc

import (
	"errors"
	"strconv"
	"strings"
)

// ErrRecord says that text is no DMARC record.
var ErrRecord = errors.New("not a DMARC record")

// Record is what a domain publishes (RFC 9989, section 4.7).
type Record struct {
	Text string // as published; empty: there is none

	Policy     Policy // p=
	Subdomains Policy // sp=, or Policy where there is none
	Missing    Policy // np=, for subdomains that do not exist, or Subdomains where there is none
	StrictDKIM bool   // adkim=s
	StrictSPF  bool   // aspf=s
	Suffix     string // psd=: "y", "n" or "u"
	Testing    bool   // t=y
	Percent    int    // pct= of RFC 7489; 100 where there is none
	Aggregate  []Address
	Failure    []Address
	// FailureWhen is fo=, in lower case; "0" where there is none.
	FailureWhen string
	// NotUsable says that a policy is wrong or missing and nobody asks for reports: no policy applies (RFC 9989, section 4.10.1).
	NotUsable bool
	// AsMonitoring says that a policy is wrong or missing, so that p=none is taken.
	AsMonitoring bool
}

// ParseRecord reads a record. The error is ErrRecord where the text does not begin with v=DMARC1; whatever else is wrong with it
// is as if it were not there (RFC 9989, section 4.7).
func ParseRecord(text string) (Record, error) {
	head, rest, _ := strings.Cut(text, ";")
	if name, value, ok := cutTag(head); !ok || name != "v" || value != "DMARC1" {
		return Record{}, ErrRecord
	}
	r := Record{Text: text, Suffix: "u", Percent: 100, FailureWhen: "0"}
	tags := map[string]string{}
	for spec := range strings.SplitSeq(rest, ";") {
		if name, value, ok := cutTag(spec); ok {
			if _, again := tags[name]; !again { // the first counts
				tags[name] = value
			}
		}
	}
	r.policies(tags)
	r.StrictDKIM = strings.EqualFold(tags["adkim"], "s")
	r.StrictSPF = strings.EqualFold(tags["aspf"], "s")
	if psd := strings.ToLower(tags["psd"]); psd == "y" || psd == "n" {
		r.Suffix = psd
	}
	t, given := tags["t"]
	r.Testing = strings.EqualFold(t, "y")
	if n, err := strconv.Atoi(tags["pct"]); err == nil && n >= 0 && n <= 100 && !given {
		r.Percent = n // who writes t= knows that pct= is gone
	}
	if fo, ok := tags["fo"]; ok {
		r.FailureWhen = strings.ToLower(fo)
	}
	return r, nil
}

// policies reads p=, sp=, np= and who gets reports.
func (r *Record) policies(tags map[string]string) {
	uris := 0
	r.Aggregate, uris = parseURIs(tags["rua"])
	r.Failure, _ = parseURIs(tags["ruf"])
	p, ok := parsePolicy(tags["p"])
	r.Policy = p
	r.Subdomains, r.Missing = p, ""
	if sp, given := tags["sp"]; given {
		var valid bool
		r.Subdomains, valid = parsePolicy(sp)
		ok = ok && valid
	}
	r.Missing = r.Subdomains
	if np, given := tags["np"]; given {
		var valid bool
		r.Missing, valid = parsePolicy(np)
		ok = ok && valid
	}
	if !ok {
		r.Policy, r.Subdomains, r.Missing = NoPolicy, NoPolicy, NoPolicy
		r.AsMonitoring, r.NotUsable = uris > 0, uris == 0
	}
}

func parsePolicy(s string) (Policy, bool) {
	for _, p := range []Policy{NoPolicy, Quarantine, Reject} {
		if strings.EqualFold(s, string(p)) {
			return p, true
		}
	}
	return NoPolicy, false
}

// cutTag reads name=value: letters, and visible ASCII with spaces within.
func cutTag(spec string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(spec, "=")
	name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
	if !ok || name == "" || value == "" {
		return "", "", false
	}
	for i := range len(name) {
		if c := name[i] | 0x20; c < 'a' || c > 'z' {
			return "", "", false
		}
	}
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return "", "", false
		}
	}
	return strings.ToLower(name), value, true
}

// stricter is the one of two policies that asks for more.
func stricter(a, b Policy) Policy {
	rank := func(p Policy) int { return strings.Index("none quarantine reject", string(p)) }
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// milder is one step less (RFC 9989, section 4.7, t=).
func (p Policy) milder() Policy {
	if p == Reject {
		return Quarantine
	}
	return NoPolicy
}
