package arc

import (
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/dkim"
)

// Needs are what a message has to be read for, that its chain can be validated.
func Needs(h dkim.Header) []dkim.Need {
	sets, err := collect(h)
	if err != nil || len(sets) == 0 {
		return nil
	}
	_, body, ok := dkim.ParseForms(sets[len(sets)-1].signature.tags.Word("c"))
	if !ok {
		return nil
	}
	return []dkim.Need{{Form: body, Length: dkim.All}}
}

// Hosts are the names whose records will be asked for, so that it can be done meanwhile.
func Hosts(h dkim.Header) (names []string) {
	sets, _ := collect(h)
	for _, s := range slices.Backward(sets) {
		for _, f := range []field{s.signature, s.seal} {
			if name := host(f.tags); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// host is the name of the record with the key of a field.
func host(tags dkim.Tags) string { return tags.Word("s") + "._domainkey." + tags.Word("d") }

// Link is what one set of a chain says.
type Link struct {
	Sealer string // d= of the seal, as a host name; empty where it is none
	// Results are what it says that it found out: the payload of RFC 8601, with the authserv-id in front.
	Results string
}

// Links are the sets of a chain, the oldest first. They are worth what Status says.
func (c Chain) Links() (list []Link) {
	for _, s := range c.sets {
		_, value, _ := strings.Cut(s.results.text, ":")
		_, value, _ = strings.Cut(value, ";") // the instance
		list = append(list, Link{dkim.Hostname(s.seal.tags.Word("d")), strings.TrimSpace(value)})
	}
	return list
}

// Vouched looks for a sealer that is trusted and whose results are such as good says (RFC 8617, section 7.2.1). It begins at the
// newest, and ends at the first that is not trusted: what that one says of older ones is worth nothing. It is for chains that
// are Pass; of others there is none.
func (c Chain) Vouched(trusted func(sealer string) bool, good func(results string) bool) (sealer string, ok bool) {
	if c.Status != Pass {
		return "", false
	}
	for _, l := range slices.Backward(c.Links()) {
		if l.Sealer == "" || !trusted(l.Sealer) {
			return "", false
		}
		if good(l.Results) {
			return l.Sealer, true
		}
	}
	return "", false
}
