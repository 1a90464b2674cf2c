package engine

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/imapd/wire"
)

// unauthenticate is UNAUTHENTICATE (RFC 8437): the connection is as it was before the login, TLS and
// COMPRESS apart. What was enabled is off again (section 2). Failed logins stay counted. Where it is not offered,
// after a login by another node, it is as unknown as any other command.
func (s *Session) unauthenticate(context.Context, *wire.Command) (reply, error) {
	if s.peer.Leave == nil {
		return bad("another node has done the login, connect again"), nil
	}
	s.deselect()
	s.stop()
	s.peer.Leave()
	s.who, s.account, s.changed, s.stop = Identity{}, nil, nil, nil
	s.heard = nil
	s.enabled, s.seenAfter, s.dirty, s.notify = enabled{}, time.Time{}, false, nil
	s.r.SetUTF8(false)
	s.w.SetUTF8(false)
	s.state = notAuthenticated
	return ok("CAPABILITY "+s.capabilities(), "logged out, but still here"), nil
}
