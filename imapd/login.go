package imapd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd/engine"
)

// Logins makes an authenticator what this door needs.
func Logins(a *login.Authenticator) Authenticator { return logins{a} }

type logins struct{ a *login.Authenticator }

func (l logins) Mechanisms(conn login.Conn) []string { return l.a.MechanismsFor(conn) }

func (l logins) Plain(ctx context.Context, user, password string, conn login.Conn) (login.Identity, error) {
	return l.a.Plain(ctx, user, password, conn.Remote)
}

func (l logins) Begin(mechanism string, conn login.Conn) (Exchange, error) {
	x, err := l.a.Server(mechanism, conn)
	if err != nil {
		return nil, err
	}
	return x, nil
}

// gate is the login of one connection as the engine sees it.
type gate struct{ c *conn }

var _ engine.Login = gate{}

// Mechanisms implements engine.Login.
func (g gate) Mechanisms() []string { return g.c.srv.c.Auth.Mechanisms(g.c.loginConn()) }

// Password implements engine.Login.
func (g gate) Password() bool { return slices.Contains(g.Mechanisms(), login.MechanismPlain) }

// Plain implements engine.Login.
func (g gate) Plain(ctx context.Context, user, password string) (engine.Identity, error) {
	who, err := g.c.srv.c.Auth.Plain(ctx, user, password, g.c.loginConn())
	if err != nil {
		return engine.Identity{}, loginError(err)
	}
	return engine.Identity(who), nil
}

// SASL implements engine.Login.
func (g gate) SASL(_ context.Context, mechanism string) (engine.SASL, error) {
	x, err := g.c.srv.c.Auth.Begin(mechanism, g.c.loginConn())
	if err != nil {
		return nil, loginError(err)
	}
	return exchange{x}, nil
}

// exchange is an Exchange with the engine's errors.
type exchange struct{ Exchange }

// Next implements engine.SASL.
func (x exchange) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := x.Exchange.Next(response)
	if err != nil {
		err = loginError(err)
	}
	return challenge, done, err
}

// Identity implements engine.SASL.
func (x exchange) Identity() engine.Identity { return engine.Identity(x.Exchange.Identity()) }

// loginError gives errors of package login the engine's meaning; others are of reading the directory, and
// temporary.
func loginError(err error) error {
	for _, pair := range []struct{ from, to error }{
		{login.ErrBadCredentials, engine.ErrBadCredentials},
		{login.ErrAuthorization, engine.ErrBadCredentials},
		{login.ErrMalformed, engine.ErrBadCredentials},
		{login.ErrChannelBinding, engine.ErrBadCredentials},
		{login.ErrDisabled, engine.ErrDisabled},
		{login.ErrThrottled, engine.ErrThrottled},
		{login.ErrMechanism, engine.ErrNoMechanism},
		{login.ErrEncryption, engine.ErrNoMechanism},
		{login.ErrIssuer, engine.ErrNoIssuer},
	} {
		if errors.Is(err, pair.from) {
			return fmt.Errorf("%w: %w", pair.to, err)
		}
	}
	return fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
}
