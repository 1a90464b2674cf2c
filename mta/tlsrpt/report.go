package tlsrpt

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Report is what an organization met in a time with the hosts of one or more domains (RFC 8460, section 4.4).
type Report struct {
	Organization string   `json:"organization-name"`
	Range        Range    `json:"date-range"`
	Contact      string   `json:"contact-info"`
	ID           string   `json:"report-id"`
	Policies     []Result `json:"policies"`
}

// Range is the time that a report is about.
type Range struct {
	Start time.Time `json:"start-datetime"`
	End   time.Time `json:"end-datetime"`
}

// Result is what was met under one policy.
type Result struct {
	Policy   Policy   `json:"policy"`
	Summary  Summary  `json:"summary"`
	Failures []Detail `json:"failure-details,omitempty"`
}

// Policy is what the hosts of a domain had to show.
type Policy struct {
	Type   Type   `json:"policy-type"`
	Text   Lines  `json:"policy-string,omitempty"`
	Domain string `json:"policy-domain"`
	Hosts  Lines  `json:"mx-host,omitempty"`
}

// Summary counts sessions.
type Summary struct {
	Good uint64 `json:"total-successful-session-count"`
	Bad  uint64 `json:"total-failure-session-count"`
}

// Detail counts sessions that failed alike.
type Detail struct {
	Failure   Failure `json:"result-type"`
	Sending   string  `json:"sending-mta-ip,omitempty"`
	Host      string  `json:"receiving-mx-hostname,omitempty"`
	HostName  string  `json:"receiving-mx-helo,omitempty"`
	Receiving string  `json:"receiving-ip,omitempty"`
	Sessions  uint64  `json:"failed-session-count"`
	More      string  `json:"additional-information,omitempty"` // a URI
	Reason    string  `json:"failure-reason-code,omitempty"`
}

// Lines is a list of texts. One text alone is read as a list of one: the examples of RFC 8460 and its grammar differ
// about mx-host, and reports have both.
type Lines []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *Lines) UnmarshalJSON(data []byte) error {
	var list []string
	if err := json.Unmarshal(data, &list); err == nil {
		*l = list
		return nil
	}
	var one string
	if err := json.Unmarshal(data, &one); err != nil {
		return errors.New("neither a text nor a list of texts")
	}
	*l = nil
	if one != "" {
		*l = Lines{one}
	}
	return nil
}

// The most that is read of a report of somebody else; what is above is cut off, but counted in the summaries.
const (
	maxPolicies = 100
	maxDetails  = 500 // of all policies
	maxLines    = 50
	maxText     = 500 // octets
)

// ErrNoReport says that something is no report, or none that can be read.
var ErrNoReport = errors.New("no TLS report")

// Decode reads a report as JSON. Texts in it are cut and made fit for a line; errors are ErrNoReport.
func Decode(data []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	if r.ID == "" || len(r.Policies) == 0 || r.Range.Start.IsZero() {
		return Report{}, fmt.Errorf("%w: it has no report-id, no date-range or no policies", ErrNoReport)
	}
	r.trim()
	return r, nil
}

func (r *Report) trim() {
	for _, s := range []*string{&r.Organization, &r.Contact, &r.ID} {
		*s = line(*s, maxText)
	}
	r.Policies = r.Policies[:min(len(r.Policies), maxPolicies)]
	left := maxDetails
	for i := range r.Policies {
		p := &r.Policies[i]
		p.Policy.Type, p.Policy.Domain = Type(line(string(p.Policy.Type), 50)), strings.ToLower(line(p.Policy.Domain, maxText))
		p.Policy.Text, p.Policy.Hosts = p.Policy.Text.trim(), p.Policy.Hosts.trim()
		p.Failures = p.Failures[:min(len(p.Failures), left)]
		left -= len(p.Failures)
		for j := range p.Failures {
			d := &p.Failures[j]
			d.Failure = Failure(line(string(d.Failure), 50))
			for _, s := range []*string{&d.Sending, &d.Host, &d.HostName, &d.Receiving, &d.More, &d.Reason} {
				*s = line(*s, maxText)
			}
		}
	}
}

func (l Lines) trim() Lines {
	l = l[:min(len(l), maxLines)]
	for i := range l {
		l[i] = line(l[i], maxText)
	}
	return l
}

// Encode gives a report as JSON.
func (r Report) Encode() ([]byte, error) {
	r.Range.Start, r.Range.End = r.Range.Start.UTC().Truncate(time.Second), r.Range.End.UTC().Truncate(time.Second)
	return encode(r)
}

// Total counts the sessions of all policies.
func (r Report) Total() (s Summary) {
	for _, p := range r.Policies {
		s.Good += p.Summary.Good
		s.Bad += p.Summary.Bad
	}
	return s
}

// encode is JSON without the escapes that HTML needs.
func encode(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode a TLS report: %w", err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// line makes a text of foreign origin fit for one line of at most a number of octets.
func line(s string, most int) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0x2028 || c == 0x2029 {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}
