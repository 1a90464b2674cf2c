// Package managesieve is the door through which users keep their Sieve scripts (RFC 5804). It speaks the protocol and asks others: who a
// client is (cluster/directory/login), whether a script is correct (mta/sieve), and for the scripts themselves, which it does not keep.
//
// Until a user has logged in nothing is told of scripts, and where there is TLS a login needs it.
package managesieve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/script"
)

// Store has the scripts of accounts. Its errors are those of mta/script; others are temporary.
type Store interface {
	List(ctx context.Context, a index.AccountID) ([]script.Script, error)
	Load(ctx context.Context, a index.AccountID, name string) (script.Script, error)
	Put(ctx context.Context, a index.AccountID, name string, text []byte, activate bool) error
	Rename(ctx context.Context, a index.AccountID, name, to string) error
	Delete(ctx context.Context, a index.AccountID, name string) error
	Activate(ctx context.Context, a index.AccountID, name string) error
}

// Exchange is one AUTHENTICATE command; *login.Exchange is one.
type Exchange interface {
	sasl.Server
	Identity() login.Identity
}

// Authenticator checks credentials. The errors of package login are told apart, others are temporary.
type Authenticator interface {
	Mechanisms(conn login.Conn) []string
	Begin(mechanism string, conn login.Conn) (Exchange, error)
}

// Logins makes an authenticator what this door needs.
func Logins(a *login.Authenticator) Authenticator { return logins{a} }

type logins struct{ a *login.Authenticator }

func (l logins) Mechanisms(conn login.Conn) []string { return l.a.MechanismsFor(conn) }

func (l logins) Begin(mechanism string, conn login.Conn) (Exchange, error) {
	x, err := l.a.Server(mechanism, conn)
	if err != nil {
		return nil, err
	}
	return x, nil
}

// Config is what a Server is made of. Fields without a default are required.
type Config struct {
	Store Store
	Auth  Authenticator
	TLS   *tls.Config // nil: no STARTTLS, and logins without TLS
	// Authorities are those whose certificates users are asked for in TLS; see login.UserTLS.
	Authorities func() *x509.CertPool
	Version     string
	Extensions  []string                // of Sieve
	Check       func(text []byte) error // what is wrong with a script
	Notify      []string                // methods of notifications; empty: none
	MaxScript   int64                   // octets; script.MaxText
	Logger      *slog.Logger            // nil: none
	Limits      Limits
}

// Limits bound what clients can take. A zero field is its default; a negative number is no limit.
type Limits struct {
	Connections           int           // at a time; 500
	ConnectionsPerAddress int           // at a time, an IPv6 /64 being one address; 20
	Errors                int           // bad commands on a connection; 20
	AuthFailures          int           // on a connection; 3
	Idle                  time.Duration // between commands; 30 minutes (RFC 5804, section 1.2)
	Login                 time.Duration // without a login; 1 minute
	Write                 time.Duration // until a response is taken; 1 minute
	Store                 time.Duration // of a change of scripts; 30 seconds
}

func (c *Config) defaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxScript <= 0 {
		c.MaxScript = script.MaxText
	}
	l := &c.Limits
	for _, n := range []struct {
		field *int
		value int
	}{{&l.Connections, 500}, {&l.ConnectionsPerAddress, 20}, {&l.Errors, 20}, {&l.AuthFailures, 3}} {
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&l.Idle, 30 * time.Minute}, {&l.Login, time.Minute}, {&l.Write, time.Minute}, {&l.Store, 30 * time.Second}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
}
