package engine

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
)

const (
	// maxAppends is how many messages one APPEND may bring.
	maxAppends = 500
	// heldAppends is how many octets of them, compressed, wait in memory for the last one; the others
	// are staged.
	heldAppends = 256 << 10
)

// appending is an APPEND of one or more messages being taken in.
type appending struct {
	*Session
	messages []Incoming
	options  []access.AppendOptions
	room     int // of heldAppends
	to       place
}

// append is APPEND (RFC 9051, section 6.3.12; RFC 3502 for several messages, of which all or none are
// filed). A message is refused before its octets are asked for where that is possible; they are
// streamed into the store, never held.
func (s *Session) append(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Append)
	ap := appending{Session: s, room: heldAppends}
	defer func() {
		for _, in := range ap.messages {
			in.Discard()
		}
	}()
	for more := true; more; {
		spoiled, err := ap.take(ctx, a)
		if err != nil {
			return wrongParts(err)
		}
		if more, err = s.r.Next(a); err != nil {
			return s.lineError(err)
		}
		if spoiled == nil && more {
			spoiled = ap.park()
		}
		if spoiled != nil {
			return reply{}, s.refuse(a, more, spoiled)
		}
	}
	s.dirty = true
	res, err := ap.to.account.AppendAll(ctx, ap.to.name, ap.messages, ap.options)
	if err != nil {
		return reply{}, tryCreate(err)
	}
	code := []byte("APPENDUID " + strconv.FormatUint(uint64(res.UIDValidity), 10) + " ")
	return ok(string(appendRanges(code, slices.Values(res.To))), "APPEND completed"), nil
}

// refuse drops what follows of an APPEND, if more does, for which why is the reason.
func (s *Session) refuse(a *wire.Append, more bool, why error) error {
	if more {
		if err := s.r.Refuse(a, s.c.MaxMessage); err != nil {
			return broken(err)
		}
	}
	return why
}

// take takes in the message that comes next. An error of the store spoils it, but its octets are read
// all the same.
func (ap *appending) take(ctx context.Context, a *wire.Append) (spoiled, err error) {
	opts, err := ap.appendOptions(ctx, a)
	if err == nil {
		err = ap.fits(len(ap.messages) + 1)
	}
	if err != nil {
		return nil, ap.refuse(a, true, err)
	}
	in := ap.to.account.NewIncoming(ctx)
	ap.messages, ap.options = append(ap.messages, in), append(ap.options, opts)
	if a.Catenate {
		return ap.catenate(ctx, a, in)
	}
	body, err := ap.r.Accept(a)
	if err != nil {
		return nil, broken(err)
	}
	return ap.receive(in, body)
}

// fits refuses more messages than one APPEND may bring. Who was told of a limit is told this one in its words.
func (s *Session) fits(messages int) error {
	switch most := s.c.saves(); {
	case most > 0 && messages > min(most, maxAppends):
		return &limitError{limit: min(most, maxAppends)}
	case messages > maxAppends:
		return errTooManyAppends
	}
	return nil
}

// park keeps the message that came last until all are there.
func (ap *appending) park() error {
	held, err := ap.messages[len(ap.messages)-1].Park(ap.room)
	ap.room -= held
	return err
}

// appendOptions checks what can be checked before the octets come.
func (ap *appending) appendOptions(ctx context.Context, a *wire.Append) (access.AppendOptions, error) {
	var o access.AppendOptions
	var err error
	if o.Flags, o.Keywords, err = parseFlags(a.Flags); err != nil {
		return o, err
	}
	o.InternalDate = a.Date.Time
	switch {
	case a.Literal.Size > ap.c.MaxMessage:
		return o, index.ErrTooLarge
	case a.Literal.Size == 0 && !a.Catenate: // how a client gives up (RFC 3502, section 3)
		return o, errEmptyAppend
	}
	if ap.to, err = ap.need(ctx, a.Mailbox, index.RightInsert); err != nil || ap.to.shared {
		return ap.to.keepFlags(o), err
	}
	if _, err := ap.account.Mailbox(ctx, a.Mailbox); err != nil {
		return o, tryCreate(err)
	}
	return o, nil
}

// receive writes a literal into the store. An error of the store spoils the message, but the rest of
// the literal is read all the same; an error of the connection is the second one.
func (s *Session) receive(in io.Writer, body io.Reader) (spoiled, conn error) {
	buf := make([]byte, 16<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 && spoiled == nil {
			_, spoiled = in.Write(buf[:n])
		}
		if errors.Is(err, io.EOF) {
			if rest := body.(*io.LimitedReader).N; rest > 0 {
				return spoiled, broken(io.ErrUnexpectedEOF)
			}
			return spoiled, nil
		}
		if err != nil {
			return spoiled, broken(err)
		}
	}
}
