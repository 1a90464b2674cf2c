package zone

import (
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/dmarc"
)

// beginning are the texts of a version, as SPF, DMARC and others begin theirs.
func beginning(texts []string, version string) []string {
	var out []string
	for _, t := range texts {
		if rest, ok := cutFold(t, version); ok && (rest == "" || strings.ContainsAny(rest[:1], " ;\t")) {
			out = append(out, t)
		}
	}
	return out
}

func cutFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// tags are the tags of a record of tags (RFC 6376, section 3.2).
func tags(text string) map[string]string {
	out := map[string]string{}
	for _, t := range strings.Split(text, ";") {
		name, value, ok := strings.Cut(t, "=")
		if ok {
			out[strings.TrimSpace(name)] = strings.Map(func(r rune) rune {
				if r == ' ' || r == '\t' {
					return -1
				}
				return r
			}, value)
		}
	}
	return out
}

// tagged compares tags that matter, and not how they are written.
func tagged(what string) func(*Finding) {
	return func(f *Finding) {
		want := tags(f.Data)
		for _, t := range f.Found {
			is := tags(t)
			if is["p"] == want["p"] && orRSA(is["k"]) == orRSA(want["k"]) {
				f.State, f.Do = OK, ""
				return
			}
		}
		if len(f.Found) > 0 {
			f.State, f.Do = Differs, "There is another "+what+" record: put this one in its place: "+Presentation(f.Record)
		}
	}
}

func orRSA(k string) string {
	if k == "" {
		return "rsa"
	}
	return k
}

// policy is content with any policy of DMARC: which one is a choice.
func policy(f *Finding) {
	f.Found = beginning(f.Found, "v=DMARC1")
	switch len(f.Found) {
	case 0:
		f.State = Missing
		return
	case 1:
		if r, err := dmarc.ParseRecord(f.Found[0]); err == nil && !r.NotUsable && !r.AsMonitoring {
			f.State, f.Do = OK, ""
			return
		}
		f.State, f.Do = Differs, "One of its policies is none that DMARC knows (p=, sp= and np= are none, quarantine or reject), so that it asks for nothing."
		return
	}
	f.State, f.Do = Differs, "There are two DMARC records, which counts as none: make them one."
}

func sts(f *Finding) {
	f.Found = beginning(f.Found, "v=STSv1")
	switch {
	case len(f.Found) == 0:
		f.State = Missing
	case len(f.Found) > 1:
		f.State, f.Do = Differs, "There are two MTA-STS records, which counts as none: make them one."
	case tags(f.Found[0])["id"] == tags(f.Data)["id"]:
		f.State, f.Do = OK, ""
	default:
		f.State, f.Do = Differs, "The policy has changed, and others do not learn of it before the id does: "+Presentation(f.Record)
	}
}

// reports is content with any place that reports go to.
func reports(f *Finding) {
	f.Found = beginning(f.Found, "v=TLSRPTv1")
	switch {
	case len(f.Found) == 0:
		f.State = Missing
	case len(f.Found) > 1:
		f.State, f.Do = Differs, "There are two TLS-RPT records, which counts as none: make them one."
	case strings.Contains(f.Found[0], tags(f.Data)["rua"]):
		f.State, f.Do = OK, ""
	default:
		f.State, f.Do = Differs, "Reports go elsewhere, and `rookery tls-reports` will not show them: add "+tags(f.Data)["rua"]+", or leave it."
	}
}

// tlsa tells of certificates that are announced wrongly, which is worse than not at all: others send no mail then.
func tlsa(f *Finding) {
	if f.State == OK {
		return
	}
	if len(f.Found) == 0 {
		f.Do = "Where the zone is signed (DNSSEC), publish it, so that others know the certificate: " + f.Name + ". TLSA " + f.Data + ". Else leave it."
		return
	}
	if slices.ContainsFunc(f.Found, func(d string) bool { return !strings.HasPrefix(d, "3 1 1 ") }) {
		f.State, f.Do = Unknown, "There are records of another form than 3 1 1, which are not compared here."
		return
	}
	f.State, f.Essential = Differs, true
	f.Do = "The node's certificate is another than DNS says: where the zone is signed, others send no mail to this node. Publish " + Presentation(f.Record) + "."
}
