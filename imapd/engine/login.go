package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/imapd/wire"
)

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// startTLS is STARTTLS (RFC 9051, section 6.2.1). Octets that came with it were sent before TLS was
// active and could be anybody's: the connection ends.
func (s *Session) startTLS(ctx context.Context, cmd *wire.Command) (reply, error) {
	if s.peer.Conn.Secure() {
		return bad("TLS is active already"), nil
	}
	if !s.peer.Conn.CanStartTLS() {
		return bad("TLS is not available"), nil
	}
	if s.r.Buffered() > 0 {
		return reply{}, errBuffered
	}
	s.answer(cmd, reply{text: "begin TLS now"})
	if err := s.w.Flush(); err != nil {
		return reply{}, broken(err)
	}
	if err := s.peer.Conn.StartTLS(ctx); err != nil {
		return reply{}, broken(fmt.Errorf("start TLS: %w", err))
	}
	return reply{}, errAnswered
}

// errAnswered says that a handler wrote the tagged response itself.
var errAnswered = errors.New("answered")

// login is LOGIN (RFC 9051, section 6.2.3).
func (s *Session) login(ctx context.Context, cmd *wire.Command) (reply, error) {
	if !s.peer.Login.Password() {
		return reply{kind: wire.NO, code: "PRIVACYREQUIRED", text: "start TLS first"}, nil
	}
	a := cmd.Args.(*wire.Login)
	who, err := s.peer.Login.Plain(ctx, a.User, a.Password)
	return s.admit(ctx, cmd, who, a.User, err)
}

// authenticate is AUTHENTICATE (RFC 9051, section 6.2.2).
func (s *Session) authenticate(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Authenticate)
	server, err := s.peer.Login.SASL(ctx, a.Mechanism)
	if err != nil {
		if errors.Is(err, ErrNoMechanism) && !s.peer.Conn.Secure() {
			return reply{kind: wire.NO, code: "PRIVACYREQUIRED", text: "start TLS first"}, nil
		}
		return reply{}, err
	}
	var response []byte
	if a.HasIR {
		if response, err = decodeResponse(a.Initial); err != nil {
			return reply{}, err
		}
	}
	for {
		challenge, done, err := server.Next(response)
		if err != nil {
			if !isLogin(err) && !errors.Is(err, cluster.ErrUnavailable) {
				err = fmt.Errorf("%w: %w", ErrBadCredentials, err)
			}
			return s.admit(ctx, cmd, Identity{}, "", err)
		}
		if done && len(challenge) == 0 {
			who := server.Identity()
			return s.admit(ctx, cmd, who, who.Address, nil)
		}
		if response, err = s.challenge(challenge); err != nil {
			return reply{}, err
		}
		if done {
			who := server.Identity()
			return s.admit(ctx, cmd, who, who.Address, nil)
		}
	}
}

// challenge sends a SASL challenge and reads the response.
func (s *Session) challenge(challenge []byte) ([]byte, error) {
	s.w.Continue(base64.StdEncoding.EncodeToString(challenge))
	if err := s.w.Flush(); err != nil {
		return nil, broken(err)
	}
	line, err := s.r.ReadLine()
	if err != nil {
		if _, wrong := errors.AsType[*wire.SyntaxError](err); wrong {
			return nil, errNotBase64
		}
		return nil, broken(err)
	}
	if line == "*" {
		return nil, errCancelled
	}
	return decodeResponse(line)
}

// decodeResponse never gives nil, which would mean that there was no response.
func decodeResponse(line string) ([]byte, error) {
	if line == "=" || line == "" {
		return []byte{}, nil
	}
	b, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		return nil, errNotBase64
	}
	return b, nil
}

// admit ends a login, successful or not.
func (s *Session) admit(ctx context.Context, cmd *wire.Command, who Identity, user string, err error) (reply, error) {
	if err == nil {
		err = s.enter(ctx, who)
	}
	if errors.Is(err, ErrElsewhere) {
		s.state, s.peer.Leave = authenticated, nil // the other node does not know how to log in again
		s.c.Events.LoggedIn(who, user, nil)
		s.answer(cmd, ok("CAPABILITY "+s.capabilities(), "logged in"))
		return reply{}, ErrElsewhere
	}
	s.c.Events.LoggedIn(who, user, err)
	if err != nil {
		if s.refused++; s.refused >= maxRefused {
			return reply{}, errTooManyLogins
		}
		return reply{}, err
	}
	return ok("CAPABILITY "+s.capabilities(), "logged in"), nil
}

// enter opens the account of one who has logged in.
func (s *Session) enter(ctx context.Context, who Identity) error {
	account, err := s.peer.Open(ctx, who)
	if err != nil {
		return err
	}
	s.who, s.account, s.state = who, account, authenticated
	s.changed, s.stop = account.Watch()
	s.heard, s.caughtUp, s.allCaughtUp = nil, nil, false
	return nil
}

// lineError answers a continuation line that could not be read.
func (s *Session) lineError(err error) (reply, error) {
	if wrong, ok := errors.AsType[*wire.SyntaxError](err); ok {
		return bad(wrong.Text), nil
	}
	return reply{}, broken(err)
}
