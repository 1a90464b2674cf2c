package dns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// answer is what a question came to.
type answer struct {
	records []dns.RR
	name    string // whose records they are: that which was asked for, or what its CNAMEs lead to
	secure  bool
	err     error // nil, ErrNoName or ErrNoRecord
}

// The bounds of how long an answer is kept, whatever it says.
const (
	shortest   = 5 * time.Second
	longest    = time.Hour
	longestNo  = 5 * time.Minute
	maxRecords = 500 // of an answer; what is above is not looked at
	maxChain   = 8   // CNAMEs behind each other
)

// ask puts a question, or takes the answer that is kept.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) (answer, error) {
	now := r.c.Clock()
	key := question{keyOf(name), kind}
	if a, ok := r.cache.get(key, now); ok {
		return a, a.err
	}
	q := question{strings.ToLower(dns.Fqdn(name)), kind}
	if _, ok := dns.IsDomainName(q.name); !ok {
		return answer{}, fmt.Errorf("%.100q: %w", name, ErrNoName)
	}
	var err error
	for range r.c.Rounds {
		for _, server := range r.c.Servers {
			var a answer
			var life time.Duration
			if a, life, err = r.askServer(ctx, q, server); err == nil {
				key.name = strings.Clone(key.name) // it may be a part of something long
				r.cache.put(key, a, now.Add(life))
				return a, a.err
			}
			if ctx.Err() != nil {
				return answer{}, fmt.Errorf("%w: %w", ErrTemporary, ctx.Err())
			}
		}
	}
	if err == nil {
		err = errors.New("no resolver is configured")
	}
	return answer{}, fmt.Errorf("%w: %w", ErrTemporary, err)
}

func (r *Resolver) askServer(ctx context.Context, q question, server string) (answer, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, r.c.Timeout)
	defer cancel()
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.kind)
	m.SetEdns0(1232, true)
	m.AuthenticatedData = true
	reply, err := r.c.Exchange(ctx, m, server)
	if err != nil {
		return answer{}, 0, fmt.Errorf("ask %s: %w", server, err)
	}
	if !reply.Response || len(reply.Question) != 1 || !strings.EqualFold(reply.Question[0].Name, q.name) || reply.Question[0].Qtype != q.kind {
		return answer{}, 0, fmt.Errorf("%s answers another question", server)
	}
	secure := r.c.Validated && reply.AuthenticatedData
	switch reply.Rcode {
	case dns.RcodeNameError:
		return answer{secure: secure, err: ErrNoName}, lifeOfNo(reply), nil
	case dns.RcodeSuccess:
	default:
		return answer{}, 0, fmt.Errorf("%s answers %s", server, dns.RcodeToString[reply.Rcode])
	}
	records, name, ttl := follow(reply.Answer, q)
	if len(records) == 0 {
		return answer{secure: secure, err: ErrNoRecord}, lifeOfNo(reply), nil
	}
	return answer{records: records, name: name, secure: secure}, within(time.Duration(ttl)*time.Second, longest), nil
}

// follow gives the records that answer q, behind the CNAMEs that lead to them, the name that these lead to, and the
// shortest of their lives in seconds.
func follow(list []dns.RR, q question) (records []dns.RR, name string, ttl uint32) {
	if len(list) > maxRecords {
		list = list[:maxRecords]
	}
	name = q.name
	ttl = ^uint32(0)
	for range maxChain {
		next := ""
		for _, rr := range list {
			h := rr.Header()
			if !strings.EqualFold(h.Name, name) {
				continue
			}
			if h.Rrtype == q.kind {
				records = append(records, rr)
				ttl = min(ttl, h.Ttl)
			} else if c, ok := rr.(*dns.CNAME); ok {
				next = c.Target
				ttl = min(ttl, h.Ttl)
			}
		}
		if len(records) > 0 || next == "" {
			return records, name, ttl
		}
		name = next
	}
	return nil, "", 0
}

// lifeOfNo is how long a negative answer holds (RFC 2308, section 5).
func lifeOfNo(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return within(time.Duration(min(soa.Minttl, soa.Hdr.Ttl))*time.Second, longestNo)
		}
	}
	return shortest
}

func within(d, most time.Duration) time.Duration { return max(shortest, min(d, most)) }

// exchange asks over UDP, and over TCP where the answer does not fit.
func exchange(ctx context.Context, q *dns.Msg, server string) (*dns.Msg, error) {
	udp := dns.Client{Net: "udp", UDPSize: 1232}
	reply, _, err := udp.ExchangeContext(ctx, q, server)
	if err == nil && !reply.Truncated {
		return reply, nil
	}
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	tcp := dns.Client{Net: "tcp"}
	reply, _, err = tcp.ExchangeContext(ctx, q, server)
	return reply, err
}

type question struct {
	name string
	kind uint16
}

// keyOf is a name as answers are kept by: without its last dot, which costs no copy of most names. One with escapes has it, since a
// dot may be escaped.
func keyOf(name string) string {
	if strings.IndexByte(name, '\\') >= 0 {
		return strings.ToLower(dns.Fqdn(name))
	}
	return canonical(name)
}

// cache keeps answers, in two generations: what is used moves to the young one; when that is full the old one is
// forgotten.
type cache struct {
	most int // answers in a generation

	mu         sync.Mutex // guards what follows
	young, old map[question]kept
}

type kept struct {
	answer answer
	until  time.Time
}

func (c *cache) get(q question, now time.Time) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.young[q]
	if !ok {
		if k, ok = c.old[q]; !ok {
			return answer{}, false
		}
		c.add(q, k)
	}
	return k.answer, now.Before(k.until)
}

func (c *cache) put(q question, a answer, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(q, kept{a, until})
}

func (c *cache) add(q question, k kept) {
	if c.young == nil || len(c.young) >= c.most/2+1 {
		c.young, c.old = make(map[question]kept), c.young
	}
	c.young[q] = k
}
