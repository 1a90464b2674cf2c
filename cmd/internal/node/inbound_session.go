package node

import (
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/authn"
	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/plan"
	"github.com/rookery-mail/rookery/mta/porter"
	"github.com/rookery-mail/rookery/mta/smtpd"
	"github.com/rookery-mail/rookery/mta/spool"
)

// inboundParts are what looks at mail that comes in. A part that is nil is not asked.
type inboundParts struct {
	porter     *porter.Porter
	authn      *authn.Checker
	filters    *filters
	classifier *spam
	sorter     inboundSorter
}

// inboundSorter runs the scripts of accounts.
type inboundSorter interface {
	// Sort makes the plan for one account. keep is the copy that is meant where no script says otherwise; findings are for the story.
	Sort(ctx context.Context, l *missive, to sorting, keep plan.Copy) (*plan.Plan, []inbound.Finding, error)
}

// sorting is for whom a message is sorted, and what was decided about it.
type sorting struct {
	account   index.AccountID
	recipient mta.Recipient // by whom it came to the account
	verdict   inbound.Verdict
	junkScore float64 // from which on it is junk, 0: never
	dry       bool    // nobody carries the plan out
	alone     bool    // it has no other recipient, so that a refusal can be told in the reply
}

// missive is a message while it is looked at.
type missive struct {
	id         mta.ID
	kind       smtpd.Kind
	client     inbound.Client
	remote     netip.AddrPort
	local      netip.AddrPort
	state      *tls.ConnectionState // nil without TLS
	envelope   mta.Envelope
	recipients []smtpd.Addressed
	trace      []byte // what we put in front: Return-Path, Received; empty where it is not known
	text       *spool.Text
	header     []byte // all of it, without the empty line
	received   time.Time
	account    index.AccountID // who had logged in; 0: nobody
	sender     *authn.Sender   // what is known of the sender already; nil: nothing
}

// inboundChecks are the checks of the SMTP doors.
type inboundChecks struct {
	n     *Node
	parts inboundParts
	dry   bool // nothing is made for a plan that nobody carries out
}

var _ smtpd.Checks = (*inboundChecks)(nil)

// Begin has the porter look at who is not ours.
func (c *inboundChecks) Begin(ctx context.Context, p smtpd.Peer) (smtpd.Session, *mta.Reply) {
	s := &inboundSession{c: c, peer: p}
	s.client.Address = p.Remote.Addr().Unmap().WithZone("")
	s.client.Unchecked = p.Kind != smtpd.MX || c.n.unchecked(s.client.Address)
	if s.client.Unchecked || c.parts.porter == nil {
		return s, nil
	}
	visit, refusal := c.parts.porter.Begin(ctx, p.Remote.Addr(), p.Local.Addr())
	if refusal != nil {
		return nil, refusal
	}
	s.visit = visit
	return s, nil
}

// inboundSession is one connection. It is for the connection's goroutine.
type inboundSession struct {
	c       *inboundChecks
	peer    smtpd.Peer
	client  inbound.Client
	state   *tls.ConnectionState
	account index.AccountID
	visit   *porter.Visit // nil where nothing is asked of the connection
	mail    mta.Envelope
	id      mta.ID
	sender  *authn.Sender // of the transaction; nil before it was asked
}

var _ smtpd.Session = (*inboundSession)(nil)

// Hello implements smtpd.Session.
func (s *inboundSession) Hello(ctx context.Context, name string, extended bool, state *tls.ConnectionState) *mta.Reply {
	s.client.Helo, s.state = name, state
	if s.visit == nil {
		return nil
	}
	return s.visit.Hello(ctx, name)
}

// Login implements smtpd.Session.
func (s *inboundSession) Login(account index.AccountID, address string) {
	s.account, s.client.Login = account, address
}

// Mail implements smtpd.Session.
func (s *inboundSession) Mail(ctx context.Context, id mta.ID, env mta.Envelope) *mta.Reply {
	s.id, s.mail = id, env
	if s.visit == nil {
		return nil
	}
	if r := s.visit.Mail(ctx, env.From); r != nil {
		return r
	}
	if s.c.parts.authn != nil && s.client.Address.IsValid() {
		sender := s.c.parts.authn.CheckSender(ctx, authn.Query{Client: s.client.Address, Helo: s.client.Helo, From: env.From})
		s.sender = &sender
		if f, ok := inbound.EnvelopeSPF(string(sender.SPF.Result), sender.SPF.Domain); ok {
			s.visit.Add(f)
		}
	}
	return nil
}

// Rcpt implements smtpd.Session.
func (s *inboundSession) Rcpt(ctx context.Context, to mta.Recipient) *mta.Reply {
	if s.visit == nil {
		return nil
	}
	r := s.visit.Rcpt(ctx, to.Address)
	if r != nil {
		s.c.n.refusals.tell(refusal{id: s.id, from: s.mail.From, to: to.Address, client: s.words(), checked: storyOf(inbound.Verdict{Findings: s.visit.Suspicions()}), reply: r})
	}
	return r
}

// Unknown implements smtpd.Session.
func (s *inboundSession) Unknown(ctx context.Context, to string) {
	if s.visit != nil {
		s.visit.Unknown(ctx, to)
	}
}

// Reset implements smtpd.Session.
func (s *inboundSession) Reset() {
	s.sender = nil
	if s.visit != nil {
		s.visit.Reset()
	}
}

// End implements smtpd.Session.
func (s *inboundSession) End() {}

var _ smtpd.Watcher = (*inboundSession)(nil)

// Patience implements smtpd.Watcher.
func (s *inboundSession) Patience() time.Duration {
	if s.visit == nil {
		return -1
	}
	return s.visit.Patience()
}

// Early implements smtpd.Watcher.
func (s *inboundSession) Early(what string) *mta.Reply {
	if s.visit == nil {
		return nil
	}
	return s.visit.Early(what)
}

// words say by which door the client came and from where, as stories do.
func (s *inboundSession) words() string {
	text := string(s.peer.Kind) + ", " + s.client.Address.String()
	if s.client.Helo != "" {
		text += ", " + s.client.Helo
	}
	if s.state != nil {
		text += ", " + tls.VersionName(s.state.Version)
	}
	return text
}
