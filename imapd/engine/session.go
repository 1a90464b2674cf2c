package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-mail/rookery/imapd/view"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// Session is one connection's state. It is for one goroutine.
type Session struct {
	*Engine
	peer Peer
	r    *wire.Reader
	w    *wire.Writer

	state   states
	ended   bool
	wrong   int    // commands in a row that could not be read
	refused int    // logins
	tag     string // of the command being carried out

	who     Identity
	account Account
	changed <-chan struct{} // a token means that something of the account changed
	stop    func()          // ends changed
	enabled enabled
	heard   *heard // nil unless METADATA is enabled

	// Of other accounts: whose mail was brought up to date since the login, and whether that of all who
	// share was.
	caughtUp    map[index.AccountID]bool
	allCaughtUp bool

	// Of the selected mailbox; box is nil where none is.
	box      Mailbox
	at       place
	name     string // under which it was selected
	view     *view.View
	readOnly bool
	keywords int  // how many the client was told of
	dirty    bool // the store may have changes that view has not
	quiet    bool // sync leaves out flags

	keyResets uint32 // as the client was told last: see tellURLMech

	notify *notification // nil before the first NOTIFY

	changedThere <-chan struct{} // as changed, of the account of a selected mailbox that is another's
	leaveThere   func()

	contexts  []*searchContext // results in the selected mailbox that are kept up to date
	seenAfter time.Time        // do not try to set \Seen before this, since no majority answered
}

// enabled is what ENABLE, or a command that implies it, has turned on.
type enabled struct {
	rev2      bool // IMAP4rev2
	utf8      bool // UTF8=ACCEPT
	condStore bool
	qresync   bool
	uidOnly   bool // RFC 9586
}

// maxWrong is how many commands in a row may be wrong, maxRefused how many logins may fail.
const (
	maxWrong   = 20
	maxRefused = 6
)

// NewSession returns the session of p; Run runs it.
func (e *Engine) NewSession(p Peer) *Session {
	s := &Session{Engine: e, peer: p, state: notAuthenticated}
	s.w = wire.NewWriter(p.Conn)
	s.r = wire.NewReader(p.Conn, e.c.Limits, func() error {
		s.w.Continue("go on")
		return s.w.Flush()
	})
	return s
}

// Unread hands over what was read from the connection but not used, when Run returned ErrElsewhere.
func (s *Session) Unread() []byte { return s.r.Unread() }

// Run serves the connection until the client logs out (nil), the connection fails, or ctx ends, of
// which the client is told. ErrElsewhere says that the connection is to be handed over now.
func (s *Session) Run(ctx context.Context) error {
	defer func() {
		s.deselect()
		if s.stop != nil {
			s.stop()
		}
	}()
	if err := s.begin(ctx); err != nil {
		return err
	}
	for !s.ended {
		if err := s.next(ctx); err != nil {
			return s.farewell(ctx, err)
		}
	}
	return s.w.Flush()
}

// begin greets, or takes over a login that was done elsewhere.
func (s *Session) begin(ctx context.Context) error {
	if s.peer.Authenticated == nil {
		s.w.StatusLine("*", wire.OK, "CAPABILITY "+s.capabilities(), "Rookery at your service")
		return nil
	}
	if err := s.enter(ctx, *s.peer.Authenticated); err != nil {
		return s.farewell(ctx, err)
	}
	return nil
}

// next reads one command and carries it out.
func (s *Session) next(ctx context.Context) error {
	if s.r.Buffered() == 0 {
		if err := s.await(ctx); err != nil {
			return err
		}
	}
	s.peer.Conn.Within(true)
	cmd, err := s.r.ReadCommand()
	if wrong, ok := errors.AsType[*wire.SyntaxError](err); ok {
		return s.misread(wrong)
	}
	if err != nil {
		return err
	}
	s.wrong = 0
	return s.carryOut(ctx, cmd)
}

// misread answers a command that could not be read.
func (s *Session) misread(wrong *wire.SyntaxError) error {
	if wrong.Empty { // some iPhones send one before a command, and would not know what an answer is about
		return s.count()
	}
	tag, kind, code := wrong.Tag, wire.BAD, ""
	if tag == "" {
		tag = "*"
	}
	if wrong.TooBig {
		kind, code = wire.NO, "TOOBIG"
		if wrong.Name == "SETMETADATA" {
			code = codeMetadataSize()
		}
	}
	s.w.StatusLine(tag, kind, code, wrong.Text)
	s.c.Events.Command("", kind)
	return s.count()
}

// count counts what is wrong in a row.
func (s *Session) count() error {
	if s.wrong++; s.wrong >= maxWrong {
		return errTooManyErrors
	}
	return nil
}

// carryOut runs a command and answers it. The error is of the connection, or ends it.
func (s *Session) carryOut(ctx context.Context, cmd *wire.Command) error {
	s.tag = cmd.Tag
	c, ok := s.commands[cmd.Name]
	if s.peer.Others == nil && amongOthers(cmd) {
		ok = false
	}
	var rep reply
	var err error
	switch {
	case !ok:
		rep = bad("unknown command")
	case c.in&s.state == 0:
		rep, err = s.outOfOrder(cmd, c)
	case s.enabled.uidOnly && numbered(cmd):
		rep, err = s.uidRequired(cmd)
	default:
		if err = s.recheckFor(ctx, cmd, c); err == nil {
			rep, err = c.run(s, ctx, cmd)
		}
	}
	if errors.Is(err, errAnswered) {
		return s.w.Err()
	}
	if err != nil {
		rep, ok = replyTo(err)
		if !ok && errors.Is(err, index.ErrGone) {
			rep, ok = replyTo(s.whatIsGone(ctx, err))
		}
		if !ok {
			return err
		}
		if rep.code == codeServerBug {
			s.c.Events.Unexpected(cmd.Name, err)
		}
	}
	if rep.kind != wire.BAD {
		if err := s.survives(s.settle(ctx, cmd, c), "sync after "+cmd.Name); err != nil {
			return err
		}
	}
	if s.heard != nil && rep.kind != wire.BAD {
		if err := s.syncMetadata(ctx); err != nil {
			if _, ok := replyTo(err); !ok {
				return err
			}
			s.c.Events.Unexpected("METADATA after "+cmd.Name, err)
		}
	}
	s.answer(cmd, rep)
	return s.w.Err()
}

// whatIsGone tells the selected mailbox, without which the session ends, from another that was deleted since the
// command looked its name up: that is index.ErrNoMailbox, as it would have been a moment later.
func (s *Session) whatIsGone(ctx context.Context, err error) error {
	if s.box == nil {
		return index.ErrNoMailbox
	}
	if _, now := s.box.ACL(ctx); now == nil {
		return index.ErrNoMailbox
	}
	return err
}

// settle tells what changed, before the tagged response.
func (s *Session) settle(ctx context.Context, cmd *wire.Command, c command) error {
	if s.ended {
		return nil
	}
	if s.box != nil && s.notify.silent() && s.dirty && expunging(cmd.Name) {
		return s.sync(ctx, true, cmd.UID) // it has to be told what it did
	}
	return s.tellNews(ctx, c.expunges || cmd.UID, cmd.UID)
}

// expunging reports whether EXPUNGE responses are the outcome of a command.
func expunging(name string) bool { return name == "EXPUNGE" || name == "MOVE" || name == "REPLACE" }

// outOfOrder refuses a command that the state does not allow. An APPEND's literal has to be dealt with.
func (s *Session) outOfOrder(cmd *wire.Command, c command) (reply, error) {
	if a, ok := cmd.Args.(*wire.Append); ok {
		if err := s.r.Refuse(a, s.c.Limits.Drain); err != nil {
			return reply{}, err
		}
	}
	switch {
	case c.in == notAuthenticated:
		return bad("already logged in"), nil
	case s.state == notAuthenticated:
		return bad("log in first"), nil
	default:
		return bad("select a mailbox first"), nil
	}
}

// answer writes the tagged response.
func (s *Session) answer(cmd *wire.Command, rep reply) {
	if rep.kind == "" {
		rep.kind = wire.OK
	}
	if rep.text == "" {
		rep.text = cmd.Name + " completed"
	}
	s.w.StatusLine(cmd.Tag, rep.kind, rep.code, rep.text)
	s.c.Events.Command(cmd.Name, rep.kind)
}

// farewell tells the client why the connection ends, where it can still hear it.
func (s *Session) farewell(ctx context.Context, err error) error {
	code, text := "", ""
	switch {
	case errors.Is(err, ErrElsewhere):
		if flush := s.w.Flush(); flush != nil {
			return flush
		}
		return ErrElsewhere
	case ctx.Err() != nil:
		text, err = "server is shutting down", ctx.Err()
	case errors.Is(err, io.EOF), s.w.Err() != nil:
		return err
	default:
		code, text = byeText(err)
	}
	s.w.StatusLine("*", wire.BYE, code, text)
	if flush := s.w.Flush(); flush != nil {
		return fmt.Errorf("say goodbye after %w: %w", err, flush)
	}
	return err
}

// deselect leaves the selected mailbox.
func (s *Session) deselect() {
	if s.leaveThere != nil {
		s.leaveThere()
	}
	s.at, s.changedThere, s.leaveThere = place{}, nil, nil
	s.box, s.view, s.name, s.readOnly, s.keywords, s.contexts = nil, nil, "", false, 0, nil
	s.keyResets = 0
	if s.state == selected {
		s.state = authenticated
	}
}
