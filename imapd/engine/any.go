package engine

import (
	"context"

	"github.com/rookery-mail/rookery/imapd/wire"
)

// noop is NOOP, and CHECK, which has nothing to do (RFC 9051, section 6.1.2; RFC 3501, section 6.4.1):
// changes are told after each command.
func (s *Session) noop(context.Context, *wire.Command) (reply, error) { return reply{}, nil }

// logout is LOGOUT (RFC 9051, section 6.1.3).
func (s *Session) logout(context.Context, *wire.Command) (reply, error) {
	s.w.StatusLine("*", wire.BYE, "", "see you")
	s.deselect()
	s.ended = true
	return reply{}, nil
}

// id is ID (RFC 2971).
func (s *Session) id(context.Context, *wire.Command) (reply, error) {
	s.w.Raw(`* ID ("name" "Rookery"`)
	if s.c.Version != "" {
		s.w.Raw(` "version" `)
		s.w.String([]byte(s.c.Version))
	}
	s.w.Byte(')')
	s.w.CRLF()
	return reply{}, nil
}

// namespace is NAMESPACE (RFC 9051, section 6.3.10): one's own, and where accounts share mailboxes, theirs.
func (s *Session) namespace(context.Context, *wire.Command) (reply, error) {
	others := "NIL"
	if s.peer.Others != nil {
		others = `(("` + otherUsers + `/" "/"))`
	}
	s.w.Raw("* NAMESPACE ((\"\" \"/\")) " + others + " NIL\r\n")
	return reply{}, nil
}

// idle is IDLE (RFC 9051, section 6.3.13).
func (s *Session) idle(ctx context.Context, _ *wire.Command) (reply, error) {
	s.w.Continue("idling")
	for {
		if err := s.tellNews(ctx, true, false); err != nil {
			return reply{}, err
		}
		if err := s.syncMetadata(ctx); err != nil {
			return reply{}, err
		}
		if err := s.w.Flush(); err != nil {
			return reply{}, broken(err)
		}
		if s.r.Buffered() > 0 {
			break
		}
		s.w.Release()
		s.peer.Conn.Within(false)
		input, err := s.peer.Conn.Wait(ctx, s.news())
		if err != nil {
			return reply{}, broken(err)
		}
		if input {
			break
		}
		s.noteChange()
	}
	s.peer.Conn.Within(true)
	line, err := s.r.ReadLine()
	if err != nil {
		return s.lineError(err)
	}
	if len(line) != 4 || !equalFold(line, "DONE") {
		return bad("expected DONE"), nil
	}
	return reply{}, nil
}
