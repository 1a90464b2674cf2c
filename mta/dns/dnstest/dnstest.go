// Package dnstest is a DNS for tests: zones as text, faults by name, and no network.
package dnstest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Zone answers questions from records. The zero Zone has none.
type Zone struct {
	mu      sync.Mutex
	records map[string][]dns.RR
	faults  map[string]error // what a name answers with in place of records
	kinds   map[uint16]error // what a kind of questions is answered with
	secure  map[string]bool
	asked   int
}

// Add adds records in the form of a zone file, a line each: "example.org. 60 IN MX 10 mx.example.org.". It
// panics where a line is none.
func (z *Zone) Add(text string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.records == nil {
		z.records, z.faults, z.secure = map[string][]dns.RR{}, map[string]error{}, map[string]bool{}
	}
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		rr, err := dns.NewRR(strings.TrimSpace(line))
		if err != nil || rr == nil {
			panic(fmt.Sprintf("record %q: %v", line, err))
		}
		name := strings.ToLower(rr.Header().Name)
		z.records[name] = append(z.records[name], rr)
	}
}

// Fail has questions about a name fail, as a server that does not answer; nil ends it.
func (z *Zone) Fail(name string, err error) {
	z.Add("")
	z.mu.Lock()
	defer z.mu.Unlock()
	z.faults[dns.Fqdn(name)] = err
}

// FailKind has questions for a kind of records, as "AAAA", fail; nil ends it.
func (z *Zone) FailKind(kind string, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.kinds == nil {
		z.kinds = map[uint16]error{}
	}
	z.kinds[dns.StringToType[kind]] = err
}

// Secure has answers about a name be vouched for.
func (z *Zone) Secure(names ...string) {
	z.Add("")
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, n := range names {
		z.secure[dns.Fqdn(n)] = true
	}
}

// Asked is how many questions were put.
func (z *Zone) Asked() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked
}

// Exchange answers a question, as dns.Config.Exchange.
func (z *Zone) Exchange(ctx context.Context, q *dns.Msg, _ string) (*dns.Msg, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	name := strings.ToLower(q.Question[0].Name)
	if err := z.faults[name]; err != nil {
		return nil, err
	}
	if err := z.kinds[q.Question[0].Qtype]; err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	m.SetReply(q)
	m.AuthenticatedData = z.secure[name]
	known := false
	for range 10 {
		list := z.records[name]
		known = known || len(list) > 0
		next := ""
		for _, rr := range list {
			switch {
			case rr.Header().Rrtype == q.Question[0].Qtype:
				m.Answer = append(m.Answer, rr)
			case rr.Header().Rrtype == dns.TypeCNAME:
				m.Answer = append(m.Answer, rr)
				next = strings.ToLower(rr.(*dns.CNAME).Target)
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	return m, ctx.Err()
}
