// Package dmarcreport is aggregate reports about DMARC (RFC 7489, section 7.2 and appendix C; RFC 9990): those of others are read from
// XML, gzip, zip, or the mail with them, within bounds that a stranger's octets cannot widen; what we saw of others' mail in a day
// is counted and written as one. It asks no DNS, keeps nothing and sends nothing.
package dmarcreport

import (
	"strings"
	"time"
)

// Report is what an organization saw in a time of mail that shows a domain as its author's.
type Report struct {
	Organization string    `json:"organization"` // as it calls itself: nothing vouches for it
	Contact      string    `json:"contact,omitempty"`
	ID           string    `json:"id"`
	Begin        time.Time `json:"begin"`
	End          time.Time `json:"end"`
	Errors       []string  `json:"errors,omitempty"` // that it met
	Policy       Published `json:"policy"`
	Rows         []Row     `json:"rows"` // those of the most messages first
	Left         Sum       `json:"left"` // of rows that are not told one by one
}

// Published is the policy that was found, in the words of the record (RFC 7489, section 6.3).
type Published struct {
	Domain     string `json:"domain"` // in lower case
	Policy     string `json:"p,omitempty"`
	Subdomains string `json:"sp,omitempty"`
	Missing    string `json:"np,omitempty"`
	DKIM       string `json:"adkim,omitempty"`
	SPF        string `json:"aspf,omitempty"`
	Percent    string `json:"pct,omitempty"`
	Testing    string `json:"t,omitempty"`
}

// Row counts messages that came alike.
type Row struct {
	Source      string   `json:"source"` // an address
	Count       uint64   `json:"count"`
	Disposition string   `json:"disposition"` // none, quarantine or reject
	DKIM        string   `json:"dkim"`        // pass where a signature of an aligned domain was good
	SPF         string   `json:"spf"`         // pass where SPF was, for an aligned domain
	Reasons     []Reason `json:"reasons,omitempty"`

	From         string `json:"from"` // the domain of the From field
	EnvelopeFrom string `json:"envelope_from,omitempty"`
	EnvelopeTo   string `json:"envelope_to,omitempty"`

	Signatures []Check `json:"signatures,omitempty"`
	Senders    []Check `json:"senders,omitempty"` // SPF
}

// Reason is why the disposition is not what the policy asks for.
type Reason struct {
	Type    string `json:"type"` // forwarded, sampled_out, trusted_forwarder, mailing_list, local_policy, other
	Comment string `json:"comment,omitempty"`
}

// Check is what DKIM or SPF came to for a domain.
type Check struct {
	Domain string `json:"domain"`
	Name   string `json:"name,omitempty"` // the selector; of SPF the scope, helo or mfrom
	Result string `json:"result"`
}

// Sum counts messages.
type Sum struct {
	Messages uint64 `json:"messages"`
	Passed   uint64 `json:"passed"` // DMARC
}

// Passed reports whether the messages passed DMARC.
func (r Row) Passed() bool { return r.DKIM == "pass" || r.SPF == "pass" }

func (r Row) sum() Sum {
	if r.Passed() {
		return Sum{r.Count, r.Count}
	}
	return Sum{r.Count, 0}
}

func (s Sum) plus(o Sum) Sum { return Sum{s.Messages + o.Messages, s.Passed + o.Passed} }

// Total counts the messages of all rows.
func (r Report) Total() Sum {
	s := r.Left
	for _, row := range r.Rows {
		s = s.plus(row.sum())
	}
	return s
}

// The most that is kept of a report, or of a day.
const (
	maxRows    = 1000
	maxText    = 253 // octets
	maxReasons = 3
	maxChecks  = 4
	maxErrors  = 5
)

// line makes a text of foreign origin fit for a line of at most maxText octets.
func line(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0x2028 || c == 0x2029 {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(strings.TrimSpace(s), "?"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// word is one of some words in any case, or the first.
func word(s string, words ...string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	for _, w := range words {
		if s == w {
			return w
		}
	}
	return words[0]
}

// domain is a domain of foreign origin as it is compared.
func domain(s string) string { return strings.ToLower(strings.TrimSuffix(line(s), ".")) }
