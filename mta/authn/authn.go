// Package authn finds out who sent a message: whether its host may send for the domain in the envelope (SPF), whose signatures
// are on it (DKIM), who says what of it on its way (ARC), whether the domain that it shows as its author's stands behind it
// (DMARC), and by what name its host is known (iprev). It asks what can be asked side by side, reads the message once,
// and ends by a deadline with what it has. What becomes of the message is not decided here.
package authn

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/mta/arc"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dmarc"
	"github.com/rookery-mail/rookery/mta/iprev"
	"github.com/rookery-mail/rookery/mta/spf"
)

// Resolver answers questions of DNS; dns.Lists is one.
type Resolver interface {
	spf.Resolver
	dmarc.Lookup
}

// Config says how a Checker works. Resolver is required.
type Config struct {
	Resolver Resolver
	Kept     Resolver         // what Resolver can say at once, an error for all else; nil: nothing
	Hostname string           // ours, for what domains explain; may be empty
	Patience time.Duration    // for all questions about a message; 10 s
	Clock    func() time.Time // nil: time.Now
	Draw     func() int       // 0 to 99, for pct= of old records; nil: at random
	Trusted  func() []string  // domains whose seals are believed (setting arc_trusted); nil: none
}

// Checker checks messages. Its methods are for any number of goroutines.
type Checker struct{ c Config }

// New makes a Checker.
func New(c Config) *Checker {
	if c.Patience <= 0 {
		c.Patience = 10 * time.Second
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Draw == nil {
		c.Draw = func() int { return rand.IntN(100) }
	}
	if c.Trusted == nil {
		c.Trusted = func() []string { return nil }
	}
	return &Checker{c}
}

// Query is what is known of a message before it is looked at.
type Query struct {
	Client netip.Addr // not valid: nothing is asked about it
	Helo   string
	From   string    // the reverse-path; empty: a report
	Text   io.Reader // the message, read once
	Time   time.Time // when it came; zero: now
	Sender *Sender   // what CheckSender said of the three; nil: it is asked now
}

// Sender is what is known of a message from its envelope.
type Sender struct {
	IPRev iprev.Outcome
	SPF   spf.Outcome // of the reverse-path, or of HELO where that is null
	Helo  spf.Outcome // of HELO; no Result where From is null, since SPF is that already
}

// ARC is what a chain is worth.
type ARC struct {
	Status  arc.Status // empty: it could not be found out now
	Reason  string
	Sealers []string // the oldest first
	// Vouched is the trusted sealer who says that the message was its author's when it came there (RFC 8617, section
	// 7.2.1); empty: there is none.
	Vouched string
}

// Results are what was found out.
type Results struct {
	Sender
	Client  netip.Addr
	Authors []string // the addresses of all From fields
	Fields  int      // how many From fields there are
	DKIM    []dkim.Outcome
	More    int // signatures that are not in DKIM
	ARC     ARC
	DMARC   dmarc.Outcome
	Problem string // why the message could not be read; all that needs it is without a result then
}

// CheckSender asks what can be asked before there is a message. It ends by the deadline of ctx, or in Patience.
func (c *Checker) CheckSender(ctx context.Context, q Query) Sender {
	ctx, cancel := context.WithTimeout(ctx, c.c.Patience)
	defer cancel()
	return c.sender(ctx, q)
}

func (c *Checker) sender(ctx context.Context, q Query) (s Sender) {
	if !q.Client.IsValid() {
		return s
	}
	ask := spf.Query{Client: q.Client, Helo: q.Helo, From: q.From, Receiver: c.c.Hostname, Time: c.at(q)}
	if s, ok := c.senderKept(ctx, ask); ok {
		return s
	}
	var work sync.WaitGroup
	work.Go(func() { s.IPRev = iprev.Check(ctx, q.Client, c.c.Resolver) })
	if q.From != "" {
		work.Go(func() { s.Helo = spf.Check(ctx, ask.OfHelo(), c.c.Resolver) })
	}
	s.SPF = spf.Check(ctx, ask, c.c.Resolver)
	work.Wait()
	return s
}

func (c *Checker) at(q Query) time.Time {
	if q.Time.IsZero() {
		return c.c.Clock()
	}
	return q.Time
}

// Check finds out all there is. It ends by the deadline of ctx, or in Patience; what was not answered by then is temperror.
// The error is one of q.Text; a message whose header cannot be read has Problem set, and is none.
func (c *Checker) Check(ctx context.Context, q Query) (Results, error) {
	ctx, cancel := context.WithTimeout(ctx, c.c.Patience)
	defer cancel()
	r := Results{Client: q.Client}
	var work sync.WaitGroup
	if q.Sender != nil {
		r.Sender = *q.Sender
	} else {
		work.Go(func() { r.Sender = c.sender(ctx, q) })
	}
	asked := newAnswers(c.c.Resolver, c.c.Kept)
	m, err := c.read(ctx, q, asked, &r)
	work.Wait()
	asked.wait()
	if err != nil || m == nil {
		return r, err
	}
	r.DMARC = dmarc.Evaluate(ctx, r.query(m.Header, c.c.Draw()), asked)
	r.ARC.Vouched = c.vouched(m.chain, r)
	return r, nil
}

// whole is a message that was read, with its chain.
type whole struct {
	*dkim.Message
	chain arc.Chain
}

// read reads the message, and verifies what is signed. It is nil where the header cannot be read.
func (c *Checker) read(ctx context.Context, q Query, asked *answers, r *Results) (*whole, error) {
	begun, err := dkim.Begin(q.Text)
	if errors.Is(err, dkim.ErrHeader) {
		r.Problem = err.Error()
		r.DMARC = dmarc.Outcome{Result: dmarc.PermError, Forged: true, Policy: dmarc.NoPolicy, Reason: r.Problem} // nobody knows who wrote it
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.Fields, r.Authors = authors(begun.Header)
	domains := domainsOf(r.Authors)
	v := dkim.NewVerification(begun.Header, dkim.Wish{Time: c.at(q), Authors: domains})
	asked.ahead(ctx, v.Hosts())
	asked.ahead(ctx, arc.Hosts(begun.Header))
	if len(domains) == 1 {
		asked.ahead(ctx, []string{"_dmarc." + domains[0]})
	}
	m, err := begun.Digests(append(v.Needs(), arc.Needs(begun.Header)...))
	if err != nil {
		return nil, err
	}
	r.DKIM, r.More = v.Outcomes(ctx, m, asked.Texts), v.More()
	chain, err := arc.Validate(ctx, m, asked.Texts)
	r.ARC = ARC{Status: chain.Status, Reason: chain.Reason}
	if err != nil {
		r.ARC = ARC{Reason: err.Error()}
		chain.Status = ""
	}
	for _, l := range chain.Links() {
		r.ARC.Sealers = append(r.ARC.Sealers, l.Sealer)
	}
	return &whole{m, chain}, nil
}

// query is what DMARC is asked.
func (r Results) query(h dkim.Header, draw int) dmarc.Query {
	q := dmarc.Query{SPF: dmarc.Identifier{Domain: r.SPF.Domain, Result: string(r.SPF.Result)}, Draw: draw}
	for _, f := range h {
		if strings.EqualFold(f.Name, "From") {
			q.From = append(q.From, f.Value())
		}
	}
	for _, o := range r.DKIM {
		if o.Domain != "" {
			q.DKIM = append(q.DKIM, dmarc.Identifier{Domain: o.Domain, Result: string(o.Result), Label: o.Selector})
		}
	}
	return q
}

// maxAuthors is how many addresses of From fields are told.
const maxAuthors = 20

// authors are the addresses of all From fields.
func authors(h dkim.Header) (fields int, list []string) {
	for _, f := range h {
		if !strings.EqualFold(f.Name, "From") {
			continue
		}
		fields++
		value := strings.ReplaceAll(strings.ReplaceAll(f.Value(), "\r", ""), "\n", "")
		for _, a := range message.Addresses([]byte(value)) {
			if len(a.Host) > 0 && len(list) < maxAuthors {
				list = append(list, string(a.Mailbox)+"@"+string(a.Host))
			}
		}
	}
	return fields, list
}

// domainsOf are the domains of addresses as host names, each once.
func domainsOf(list []string) (out []string) {
	seen := map[string]bool{"": true}
	for _, a := range list {
		if d := dkim.Hostname(a[strings.LastIndexByte(a, '@')+1:]); !seen[d] {
			seen[d] = true
			out = append(out, d)
		}
	}
	return out
}
