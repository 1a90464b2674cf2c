package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/greylist"
	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/porter"
	"github.com/rookery-mail/rookery/mta/smtpd"
	"github.com/rookery-mail/rookery/mta/spool"
)

var _ adminapi.Explainer = (*Node)(nil)

// mostExplained is how many recipients a message is explained for.
const mostExplained = 100

// Explain implements adminapi.Explainer: the same code decides as for mail that comes in. Nothing is counted against the client,
// learnt, made or delivered.
func (n *Node) Explain(ctx context.Context, q adminapi.ExplainQuery) (adminapi.Explanation, error) {
	out := adminapi.Explanation{Recipients: []adminapi.Explained{}}
	if !n.cfg.Inbound.Enabled {
		return out, fmt.Errorf("%w: mail is not checked on this node (inbound.enabled)", directory.ErrConflict)
	}
	l, err := n.explained(q)
	if err != nil {
		return out, err
	}
	defer l.text.Discard()
	parts := n.inboundParts()
	parts.porter = n.onlooker()
	c := &inboundChecks{n: n, parts: parts, dry: true}
	found, err := c.approach(ctx, l, &out)
	if err != nil || out.Refused != "" {
		return out, err
	}
	d, err := c.decide(ctx, l, found)
	if err != nil {
		return out, err
	}
	if d.reply != nil {
		out.Reply = d.reply.Error()
	} else if d.checked {
		out.Fields = strings.ReplaceAll(string(d.fields(n.cfg.SMTP.Hostname)), "\r\n", "\n")
	}
	var tokens *bayes.Tokens
	if d.checked && n.spam != nil {
		if tokens, err = bayes.Read(l.text.Reader(), l.text.Size()); err != nil {
			return out, err
		}
	}
	for _, p := range d.parties {
		out.Recipients = append(out.Recipients, n.explainParty(ctx, p, tokens))
	}
	return out, nil
}

// explained is the message of a query.
func (n *Node) explained(q adminapi.ExplainQuery) (*missive, error) {
	wrong := func(err error) (*missive, error) { return nil, fmt.Errorf("%w: %w", directory.ErrInvalid, err) }
	client, err := netip.ParseAddr(q.Client)
	switch {
	case err != nil:
		return wrong(fmt.Errorf("client %q: use the address of a host", q.Client))
	case len(q.To) == 0 || len(q.To) > mostExplained:
		return wrong(fmt.Errorf("%d recipients; 1 to %d are explained", len(q.To), mostExplained))
	case len(q.Message) > adminapi.MaxExplained:
		return wrong(fmt.Errorf("a message of %d octets; %d are explained", len(q.Message), adminapi.MaxExplained))
	case q.At.IsZero():
		q.At = time.Now()
	}
	l := &missive{id: "EXPLAINED", kind: smtpd.MX, envelope: mta.Envelope{From: strings.Trim(q.From, "<>"), To: q.To}, received: q.At,
		client: inbound.Client{Address: client.Unmap().WithZone(""), Helo: q.Helo}, remote: netip.AddrPortFrom(client, 25)}
	l.client.Unchecked = n.unchecked(l.client.Address)
	if q.TLS {
		l.state = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
	}
	err = n.view(func(v directory.View) error {
		for _, to := range q.To {
			who, err := v.Resolve(to)
			if err != nil {
				return err
			}
			a := smtpd.Addressed{Recipient: mta.Recipient{Address: to}, Remote: who.Remote}
			for _, t := range who.Accounts {
				a.Accounts = append(a.Accounts, t.Account.ID)
			}
			l.recipients = append(l.recipients, a)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.text = spool.Config{Dir: n.layout.spool()}.New()
	if _, err := l.text.Write(wireLines(q.Message)); err != nil {
		return nil, errors.Join(err, discarded(l.text))
	}
	if l.header, err = readHeader(l.text, l.text.Size()); err != nil {
		return nil, errors.Join(err, discarded(l.text))
	}
	return l, nil
}

func discarded(t *spool.Text) error {
	t.Discard()
	return nil
}

// wireLines is a saved message with the line ends of SMTP, without the line that a mailbox file begins it with.
func wireLines(b []byte) []byte {
	text := strings.ReplaceAll(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n", "\r\n")
	if strings.HasPrefix(text, "From ") {
		_, text, _ = strings.Cut(text, "\r\n")
	}
	return []byte(text)
}

// onlooker is a porter that counts nothing and keeps nobody.
func (n *Node) onlooker() *porter.Porter {
	p := n.porters.Load()
	if p == nil {
		return nil
	}
	return porter.New(porter.Config{Resolver: n.resolver, Guard: watcher{p}, Rules: p.rules.get, Greylist: greylist.New(p.key), Logger: n.log})
}

// watcher is a porter's guard that only looks.
type watcher struct{ porter.Guard }

func (watcher) Probed(netip.Addr, string) time.Duration { return 0 }
func (watcher) Welcome(netip.Addr, string)              {}

// approach is what comes before the message: a client that nobody of the recipients is asked about.
func (c *inboundChecks) approach(ctx context.Context, l *missive, out *adminapi.Explanation) ([]inbound.Finding, error) {
	if out.Unchecked = l.client.Unchecked; out.Unchecked || c.parts.porter == nil {
		return nil, nil
	}
	defer c.parts.porter.Close()
	out.Notes = append(out.Notes, "whether the client would be asked to come again, or has sent too much, is not looked at")
	visit, refusal := c.parts.porter.Begin(ctx, l.client.Address, netip.Addr{})
	step := "when it connects"
	if refusal == nil && l.client.Helo != "" {
		refusal, step = visit.Hello(ctx, l.client.Helo), "at its greeting"
	}
	if refusal == nil {
		refusal, step = visit.Mail(ctx, l.envelope.From), "at MAIL"
	}
	if refusal != nil {
		out.Refused = step + ": " + refusal.Error()
	}
	return visit.Findings(), nil
}

// explainParty is what would become of a message for one of those it is for.
func (n *Node) explainParty(ctx context.Context, p party, tokens *bayes.Tokens) adminapi.Explained {
	x := adminapi.Explained{Recipient: p.recipient.Address, Action: p.verdict.Action.String(), Score: p.verdict.Score, Rule: p.verdict.Rule,
		Findings: append([]inbound.Finding{}, p.verdict.Findings...), Script: p.told}
	if p.verdict.Reply != nil {
		x.Reply = p.verdict.Reply.Error()
	}
	if p.account != 0 {
		x.Account = n.nameOf(p.account)
	}
	if p.account != 0 && p.verdict.Action < inbound.Defer {
		x.Mailboxes = mailboxesIn(p)
	}
	if tokens != nil {
		if o, ok := n.spam.classify(ctx, p.account, tokens); ok {
			for _, t := range o.Tokens {
				x.Tokens = append(x.Tokens, adminapi.Token{Text: t.Text, Spam: t.Spam, Ham: t.Ham, Probability: t.Probability, Of: t.Of})
			}
		}
	}
	return x
}

// mailboxesIn are those that a plan has copies for.
func mailboxesIn(p party) []string {
	if p.plan == nil {
		return []string{"INBOX"}
	}
	names := []string{}
	add := func(name string) {
		if name == "" {
			name = "INBOX"
		}
		names = append(names, name)
	}
	for _, c := range p.plan.Copies {
		add(c.Mailbox)
	}
	for _, o := range p.plan.Others {
		for _, c := range o.Copies {
			add(c.Mailbox)
		}
	}
	return names
}
