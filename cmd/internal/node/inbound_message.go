package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/authn"
	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/inbound/stamp"
	"github.com/rookery-mail/rookery/mta/plan"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// verdictPatience is the time that all checks of a message may take; those that ask DNS take less, by themselves. The store has what
// is left of smtpd's Limits.Delivery.
const verdictPatience = 40 * time.Second

// Message implements smtpd.Session: it decides about a message, and makes the plan for each account.
func (s *inboundSession) Message(ctx context.Context, m smtpd.Message) (smtpd.Verdict, error) {
	l, err := s.missive(m)
	if err != nil {
		return smtpd.Verdict{}, err
	}
	var found []inbound.Finding
	if s.visit != nil {
		found = s.visit.Findings()
	}
	d, err := s.c.decide(ctx, l, found)
	if err != nil {
		return smtpd.Verdict{}, err
	}
	s.c.n.counters.inbound.message(d)
	s.c.n.dmarcReports.observe(d)
	if d.reply != nil {
		for _, to := range m.Recipients {
			s.c.n.refusals.tell(refusal{id: m.ID, from: m.Envelope.From, to: to.Address, client: s.words(), checked: storyOf(d.verdictFor(to)), reply: d.reply})
		}
		return smtpd.Verdict{Reply: d.reply}, nil
	}
	if s.visit != nil {
		s.visit.Taken(m.Envelope.To)
	}
	return s.c.n.taken(l, d)
}

// missive is a message as the checks are given it.
func (s *inboundSession) missive(m smtpd.Message) (*missive, error) {
	header, err := readHeader(m.Text, m.Text.Size())
	if err != nil {
		return nil, err
	}
	return &missive{id: m.ID, kind: s.peer.Kind, client: s.client, remote: s.peer.Remote, local: s.peer.Local, state: s.state, envelope: m.Envelope,
		recipients: m.Recipients, trace: m.Trace, text: m.Text, header: header, received: m.Received, account: s.account, sender: s.sender}, nil
}

// readHeader is the header of a message, without the empty line behind it.
func readHeader(text io.ReaderAt, size int64) ([]byte, error) {
	head := make([]byte, min(size, 64<<10))
	for {
		n, err := text.ReadAt(head, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the header: %w", err)
		}
		if end := headerEnd(head[:n]); end >= 0 || int64(n) == size {
			if end < 0 {
				end = n
			}
			return head[:end], nil
		}
		if n >= stamp.MaxHeader {
			return nil, mta.Replyf(552, mta.TooBig, "The header of the message is larger than %d octets", stamp.MaxHeader)
		}
		head = make([]byte, min(size, int64(4*len(head))))
	}
}

// headerEnd is where the empty line behind a header begins, -1 where it is not seen.
func headerEnd(b []byte) int {
	if strings.HasPrefix(string(b[:min(2, len(b))]), "\r\n") {
		return 0
	}
	if i := strings.Index(string(b), "\r\n\r\n"); i >= 0 {
		return i + 2
	}
	return -1
}

// decision is what was found and decided about one message.
type decision struct {
	facts    inbound.Facts
	results  authn.Results
	filtered filter.Outcome
	parties  []party
	reply    *mta.Reply // refuses it, or puts it off
	checked  bool       // it was not of those that are not checked
}

// party is somebody a message is for, who has a verdict of his own: an account, or an address that leads elsewhere.
type party struct {
	account   index.AccountID // 0 for one elsewhere
	recipient mta.Recipient
	policy    accountPolicy
	verdict   inbound.Verdict
	plan      *plan.Plan
	told      []inbound.Finding // of scripts
}

// verdictFor is that of the first party behind a recipient.
func (d *decision) verdictFor(to smtpd.Addressed) inbound.Verdict {
	for _, p := range d.parties {
		if slices.Contains(to.Accounts, p.account) || p.recipient.Address == to.Address {
			return p.verdict
		}
	}
	return inbound.Verdict{}
}

// decide looks at a message and decides for all it is for. Nothing of it is done: what is to be done is in the plans.
func (c *inboundChecks) decide(ctx context.Context, l *missive, found []inbound.Finding) (*decision, error) {
	ctx, cancel := context.WithTimeout(ctx, verdictPatience)
	defer cancel()
	d := &decision{facts: inbound.Facts{Client: l.client, Envelope: l.envelope, Findings: found}, checked: !l.client.Unchecked}
	var err error
	if d.parties, err = c.partiesOf(l); err != nil {
		return nil, err
	}
	opinion := func(index.AccountID) *inbound.Learned { return nil }
	if d.checked {
		d.facts.Author, d.facts.MailingList = inbound.AuthorOf(l.header), inbound.ListOf(l.header)
		if opinion, err = c.look(ctx, l, d); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		d.facts.Late = "the time for one message is over"
	}
	verdicts := make([]inbound.Verdict, len(d.parties))
	for i, p := range d.parties {
		if l.kind != smtpd.MX {
			continue // of our users and programs: it is taken
		}
		f := d.facts
		if d.checked {
			f.Learned = opinion(p.account)
			f.Filters = d.filtered.For(p.recipient.Address)
		}
		verdicts[i] = inbound.Judge(f, p.policy.of(f.Author))
	}
	d.reply = inbound.Combine(verdicts)
	for i := range d.parties {
		d.parties[i].verdict = verdicts[i]
	}
	if d.reply != nil {
		return d, nil
	}
	return d, c.place(ctx, l, d)
}

// look has the parts look at a message, filters beside the others, and puts what they find into the facts.
func (c *inboundChecks) look(ctx context.Context, l *missive, d *decision) (opinion func(index.AccountID) *inbound.Learned, err error) {
	opinion = func(index.AccountID) *inbound.Learned { return nil }
	var looking sync.WaitGroup
	filtering, filterErr := c.parts.filters.any()
	if filtering {
		looking.Go(func() {
			d.filtered, filterErr = c.parts.filters.run(ctx, c.n.filterMessage(l))
			d.facts.Filters = d.filtered.Results
		})
	}
	// These two wait for little that is not remembered: a goroutine for each would cost more than it saves.
	if c.parts.classifier != nil {
		opinion = c.parts.classifier.opinions(ctx, l)
	}
	if c.parts.authn != nil {
		err = c.authenticate(ctx, l, d)
	}
	looking.Wait()
	return opinion, errors.Join(err, filterErr)
}

// authenticate finds out who sent a message.
func (c *inboundChecks) authenticate(ctx context.Context, l *missive, d *decision) (err error) {
	q := authn.Query{Client: l.client.Address, Helo: l.client.Helo, From: l.envelope.From, Text: l.text.Reader(), Time: l.received, Sender: l.sender}
	if d.results, err = c.parts.authn.Check(ctx, q); err != nil {
		return fmt.Errorf("authenticate message %s: %w", l.id, err)
	}
	author := d.facts.Author
	if d.facts.Auth, d.facts.Author = d.results.Facts(); d.results.Problem != "" {
		d.facts.Author = author
	}
	d.facts.Client.Name = d.results.IPRev.Name
	return nil
}

// filterMessage is a message as filters are asked about it.
func (n *Node) filterMessage(l *missive) filter.Message {
	m := filter.Message{ID: l.id, Server: n.cfg.SMTP.Hostname, Envelope: l.envelope, Text: l.text, Size: l.text.Size(),
		HeaderSize: min(int64(len(l.header)+2), l.text.Size()),
		Client:     filter.Client{Remote: l.remote, Local: l.local, Hello: l.client.Helo, Login: l.client.Login}}
	if l.sender != nil {
		m.Client.Name = l.sender.IPRev.Name
	}
	if l.state != nil {
		m.Client.TLS = &filter.TLS{Version: strings.ReplaceAll(tls.VersionName(l.state.Version), " ", "v"), Cipher: tls.CipherSuiteName(l.state.CipherSuite)}
	}
	for _, r := range l.recipients {
		m.Recipients = append(m.Recipients, r.Address)
	}
	return m
}

// partiesOf are all that a message is for, each account once, under the first recipient that leads to it.
func (c *inboundChecks) partiesOf(l *missive) ([]party, error) {
	var out []party
	seen := map[index.AccountID]bool{}
	add := func(a index.AccountID, r mta.Recipient) error {
		policy, err := c.n.accountPolicy(a, r.Address)
		if err != nil {
			return fmt.Errorf("read the policy of <%s>: %w", r.Address, err)
		}
		out = append(out, party{account: a, recipient: r, policy: policy})
		return nil
	}
	for _, r := range l.recipients {
		for _, a := range r.Accounts {
			if seen[a] {
				continue
			}
			seen[a] = true
			if err := add(a, r.Recipient); err != nil {
				return nil, err
			}
		}
		if len(r.Remote) > 0 && l.account == 0 { // what users send elsewhere is the queue's
			if err := add(0, r.Recipient); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// taken is the verdict of the door on a message that is taken.
func (n *Node) taken(l *missive, d *decision) (smtpd.Verdict, error) {
	v := smtpd.Verdict{Plans: map[index.AccountID]*plan.Plan{}}
	for _, p := range d.parties {
		if p.account != 0 && p.plan != nil {
			v.Plans[p.account] = p.plan
		}
	}
	if d.checked {
		v.Fields = append(v.Fields, d.fields(n.cfg.SMTP.Hostname)...)
	}
	v.Checked = d.story()
	if l.kind == smtpd.LMTP { // programs of this host speak in its name
		return v, nil
	}
	rules, err := n.clusterRules()
	if err != nil {
		return v, fmt.Errorf("read what stays of a header: %w", err)
	}
	v.Text, err = d.stored(l, rules.stamp)
	return v, err
}
