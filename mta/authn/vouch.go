package authn

import (
	"strings"

	"github.com/rookery-mail/rookery/mta/arc"
	"github.com/rookery-mail/rookery/mta/authres"
)

// vouched finds the trusted sealer who says that DMARC passed.
func (c *Checker) vouched(chain arc.Chain, r Results) string {
	trusted := c.c.Trusted()
	if len(trusted) == 0 || r.DMARC.From == "" {
		return ""
	}
	sealer, _ := chain.Vouched(func(sealer string) bool {
		for _, t := range trusted {
			if strings.EqualFold(t, sealer) {
				return true
			}
		}
		return false
	}, func(text string) bool { return saysPass(text, r.DMARC.From) })
	return sealer
}

// saysPass reports whether results of a seal say that DMARC passed for an author's domain, or, where they say nothing of DMARC,
// that a signature of the domain did.
func saysPass(text, author string) bool {
	f, err := authres.Parse(text)
	if err != nil {
		return false
	}
	signed := false
	for _, r := range f.Results {
		switch r.Method {
		case "dmarc":
			from := r.Get("header", "from")
			return r.Value == "pass" && (from == "" || strings.EqualFold(from, author))
		case "dkim":
			d := strings.ToLower(r.Get("header", "d"))
			signed = signed || r.Value == "pass" && d != "" && (d == author || strings.HasSuffix(author, "."+d))
		}
	}
	return signed
}
