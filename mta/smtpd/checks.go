package smtpd

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/plan"
	"github.com/rookery-mail/rookery/mta/spool"
)

// Checks decide whom and what is let in, and where it goes. The door asks at each step, and keeps its own rules beside.
type Checks interface {
	// Begin hears of a connection before it is greeted; a reply refuses it. Without one the session hears all that follows, from
	// the connection's goroutine.
	Begin(ctx context.Context, p Peer) (Session, *mta.Reply)
}

// Peer is who has connected.
type Peer struct {
	Kind   Kind
	Remote netip.AddrPort // as a trusted proxy says; invalid where the connection has none, as on a socket of this host
	Local  netip.AddrPort
}

// Session is one connection as Checks see it. A reply refuses the command; nil lets it pass.
type Session interface {
	// Hello hears a greeting. state is that of TLS, nil without.
	Hello(ctx context.Context, name string, extended bool, state *tls.ConnectionState) *mta.Reply
	// Login hears who has authenticated.
	Login(account index.AccountID, address string)
	// Mail begins a transaction.
	Mail(ctx context.Context, id mta.ID, env mta.Envelope) *mta.Reply
	// Rcpt hears of a recipient that can be delivered to.
	Rcpt(ctx context.Context, to mta.Recipient) *mta.Reply
	// Unknown hears of one that there is not, before the client does.
	Unknown(ctx context.Context, to string)
	// Message decides on a message that is here whole. An error is one that passes; the client is to come again.
	Message(ctx context.Context, m Message) (Verdict, error)
	// Reset ends the transaction, if there is one, whatever became of it.
	Reset()
	// End is the last call.
	End()
}

// Message is a message that waits for its verdict.
type Message struct {
	ID         mta.ID
	Envelope   mta.Envelope
	Recipients []Addressed
	Text       *spool.Text // as it came, with line ends of CR LF
	Trace      []byte      // our fields that are put in front: Return-Path, Received; whole lines
	Received   time.Time   // when MAIL came
}

// Addressed is a recipient of a message, and whose it is here.
type Addressed struct {
	mta.Recipient
	Accounts []index.AccountID
	Remote   []string // addresses elsewhere that it leads to
}

// Verdict is what becomes of a message.
type Verdict struct {
	Reply   *mta.Reply // refuses it; nil takes it
	Fields  []byte     // put in front of it, behind the trace fields; whole lines
	Text    io.Reader  // what is stored instead of the message as it came; nil: that
	Plans   map[index.AccountID]*plan.Plan
	Checked string // for its story: what the checks said
}

// begin asks the checks about the connection. false ends it; the reply is given.
func (c *conn) begin(ctx context.Context) bool {
	if c.srv.c.Checks == nil {
		return true
	}
	session, refusal := c.srv.c.Checks.Begin(ctx, c.asPeer())
	if refusal != nil {
		c.srv.c.Metrics.Refused(c.kind, refusal)
		c.log.Info("connection refused", "reply", refusal.Error())
		c.reply(refusal)
		c.farewell(errHangUp)
		return false
	}
	c.session = session
	return true
}

func (c *conn) asPeer() Peer {
	return Peer{Kind: c.kind, Remote: c.whence, Local: c.whither}
}

// tlsState is that of the connection, nil without TLS.
func (c *conn) tlsState() *tls.ConnectionState {
	t, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	state := t.ConnectionState()
	return &state
}

// judge asks for the verdict on the message in text, which comes before until, and gives the store what is to be stored.
func (c *conn) judge(ctx, until context.Context, text *spool.Text) (Incoming, error) {
	m := Message{ID: c.mail.id, Envelope: c.mail.env, Text: text, Trace: c.trace(c.mail.arriving.head), Received: c.mail.started}
	for _, r := range c.mail.rcpts {
		m.Recipients = append(m.Recipients, Addressed{Recipient: r.Recipient, Accounts: r.accounts, Remote: r.remote})
	}
	v, err := c.session.Message(until, m)
	if err != nil {
		return nil, err
	}
	if v.Reply != nil {
		return nil, v.Reply
	}
	c.mail.verdict = v
	in, err := c.openStore(ctx, c.mail.arriving.head)
	if err != nil {
		return nil, err
	}
	stored := v.Text
	if stored == nil {
		stored = text.Reader()
	}
	buffer := c.srv.buffers.Get().(*[]byte)
	defer c.srv.buffers.Put(buffer)
	if _, err := io.CopyBuffer(onlyWriter{in}, stored, *buffer); err != nil {
		in.Discard()
		return nil, err
	}
	return in, nil
}

// onlyWriter keeps io.CopyBuffer to the buffer.
type onlyWriter struct{ io.Writer }
