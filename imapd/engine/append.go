package engine

import (
	"context"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
)

// append is APPEND (RFC 9051, section 6.3.12). The message is refused before its octets are asked for
// where that is possible; they are streamed into the store, never held.
func (s *Session) append(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Append)
	opts, err := s.appendOptions(ctx, a)
	if err != nil {
		if refuse := s.r.Refuse(a, s.c.MaxMessage); refuse != nil {
			return reply{}, broken(refuse)
		}
		return reply{}, err
	}
	in := s.account.NewIncoming(ctx)
	defer in.Discard()
	body, err := s.r.Accept(a)
	if err != nil {
		return reply{}, broken(err)
	}
	spoiled, err := s.receive(in, body)
	if err != nil {
		return reply{}, err
	}
	if err := s.r.End(a); err != nil {
		return s.lineError(err)
	}
	if spoiled != nil {
		return reply{}, spoiled
	}
	s.dirty = true
	uid, validity, err := in.Append(ctx, a.Mailbox, opts)
	if err != nil {
		return reply{}, tryCreate(err)
	}
	return ok(fmt.Sprintf("APPENDUID %d %d", validity, uid), "APPEND completed"), nil
}

// appendOptions checks what can be checked before the octets come.
func (s *Session) appendOptions(ctx context.Context, a *wire.Append) (access.AppendOptions, error) {
	var o access.AppendOptions
	var err error
	if o.Flags, o.Keywords, err = parseFlags(a.Flags); err != nil {
		return o, err
	}
	o.InternalDate = a.Date.Time
	if a.Literal.Size > s.c.MaxMessage {
		return o, index.ErrTooLarge
	}
	if _, err := s.account.Mailbox(ctx, a.Mailbox); err != nil {
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
		if err == io.EOF {
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
