package tlsrpt

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Day is a day of reports, which begins at midnight UTC (RFC 8460, section 4.1): "2026-11-21".
type Day string

// DayOf is the day of a moment.
func DayOf(t time.Time) Day { return Day(t.UTC().Format(time.DateOnly)) }

// Start is when the day begins; the zero time where it is none.
func (d Day) Start() time.Time {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{}
	}
	return t
}

// Range is the day from its first second to its last.
func (d Day) Range() Range {
	start := d.Start()
	return Range{Start: start, End: start.Add(24*time.Hour - time.Second)}
}

// Results are what was met in a day with the hosts of one domain, grouped as a report is. They are bounded: what comes
// above is counted, but told in no detail.
type Results struct {
	List []Result
}

// The most that is kept of a domain's day. Encoded it stays below 110 KiB.
const (
	keptPolicies = 8
	keptLines    = 20
	keptLine     = 250 // octets
	keptDetails  = 64  // of all policies
	keptReason   = 200 // octets
)

// Add counts an event.
func (r *Results) Add(e Event) {
	one := Result{Policy: Policy{Type: e.Type, Domain: e.Domain, Text: kept(e.Policy), Hosts: kept(e.Hosts)}}
	if e.Failure == "" {
		one.Summary.Good = 1
	} else {
		one.Summary.Bad = 1
		one.Failures = []Detail{{Failure: e.Failure, Sending: plain(e.Sending, keptLine), Host: plain(e.Host, keptLine), HostName: plain(e.HostName, keptLine),
			Receiving: plain(e.Receiving, keptLine), Sessions: 1, Reason: plain(e.Text, keptReason)}}
	}
	r.add(one)
}

// Merge adds what somebody else met with the same hosts.
func (r *Results) Merge(other Results) {
	for _, one := range other.List {
		r.add(one)
	}
}

func (r *Results) add(one Result) {
	at := slices.IndexFunc(r.List, func(is Result) bool { return is.Policy.same(one.Policy) })
	if at < 0 {
		if len(r.List) == keptPolicies {
			at = keptPolicies - 1
		} else {
			at = len(r.List)
			r.List = append(r.List, Result{Policy: one.Policy})
		}
	}
	is := &r.List[at]
	is.Summary.Good += one.Summary.Good
	is.Summary.Bad += one.Summary.Bad
	for _, d := range one.Failures {
		r.count(is, d)
	}
}

// count adds to the detail that is like d, or makes one where there is room.
func (r *Results) count(in *Result, d Detail) {
	sessions := d.Sessions
	d.Sessions = 0
	for i := range in.Failures {
		is := in.Failures[i]
		is.Sessions = 0
		if is == d {
			in.Failures[i].Sessions += sessions
			return
		}
	}
	total := 0
	for _, one := range r.List {
		total += len(one.Failures)
	}
	if total < keptDetails {
		d.Sessions = sessions
		in.Failures = append(in.Failures, d)
	}
}

func (p Policy) same(o Policy) bool {
	return p.Type == o.Type && p.Domain == o.Domain && slices.Equal(p.Text, o.Text) && slices.Equal(p.Hosts, o.Hosts)
}

// Encode gives the results as JSON: the policies of a report.
func (r Results) Encode() ([]byte, error) { return encode(r.List) }

// DecodeResults reads what Encode gave.
func DecodeResults(data []byte) (Results, error) {
	var r Results
	if err := json.Unmarshal(data, &r.List); err != nil {
		return Results{}, fmt.Errorf("read TLS results: %w", err)
	}
	return r, nil
}

func kept(lines []string) Lines {
	if len(lines) == 0 {
		return nil
	}
	out := make(Lines, 0, min(len(lines), keptLines))
	for _, l := range lines[:min(len(lines), keptLines)] {
		out = append(out, plain(l, keptLine))
	}
	return out
}

// plain is line without what JSON writes in more octets than there are.
func plain(s string, most int) string {
	if len(s) <= most && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		return s // as nearly all are
	}
	return strings.NewReplacer(`"`, "'", `\`, "/").Replace(line(s, most))
}
