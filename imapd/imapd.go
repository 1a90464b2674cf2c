// Package imapd is the IMAP door: it listens, does TLS, tells who a client is, bounds what clients can take,
// and runs a session of package engine for each connection. It keeps no state beyond a connection.
//
// A session reads this node's replica of the account's partition. Where there is none, the connection
// becomes a pipe to a node that has one, after the login; see Config.Proxy and Server.ServeProxied.
package imapd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
)

// Kind says what a listener is for.
type Kind string

// The kinds of listeners.
const (
	IMAP  Kind = "imap"  // port 143, with STARTTLS
	IMAPS Kind = "imaps" // port 993: TLS from the first octet (RFC 8314)
)

// Authenticator checks who a client is; see Logins. The errors of package login are told apart,
// others are temporary.
type Authenticator interface {
	// Mechanisms lists what may be used on a connection. LOGIN goes with PLAIN.
	Mechanisms(conn login.Conn) []string
	// Plain checks a password that came as it is.
	Plain(ctx context.Context, user, password string, conn login.Conn) (login.Identity, error)
	// Begin starts an exchange.
	Begin(mechanism string, conn login.Conn) (Exchange, error)
}

// Exchange is one AUTHENTICATE command; *login.Exchange is one.
type Exchange interface {
	Next(response []byte) (challenge []byte, done bool, err error)
	// Identity returns who it is, after Next has said done without an error.
	Identity() login.Identity
}

// Metrics counts what happens. Calls come from many goroutines.
type Metrics interface {
	Connections(k Kind, delta int) // opened (1) or closed (-1)
	Refused(k Kind)                // too many connections
	Command(name, outcome string)  // OK, NO or BAD; a command that could not be read has no name
	Login(ok bool)                 //
	Proxied(delta int)             // connections piped to another node
}

// Config is what a Server is made of. Fields without a default are required.
type Config struct {
	// Mail opens the mail of an account; see Mailstore.
	Mail func(a index.AccountID) engine.Account
	Auth Authenticator
	// Sharing leads to what accounts share with each other. Nil: nothing can be shared.
	Sharing Sharing
	// Shared opens the mail of an account for those that it shares with, whose connections no node takes over: where
	// no node lets it be read, that is cluster.ErrUnavailable. Nil: Mail.
	Shared func(a index.AccountID) engine.Account
	TLS    *tls.Config // nil: no STARTTLS, and no IMAPS listener
	// Authorities are those whose certificates clients are asked for in TLS; see login.UserTLS. Nil: none are.
	Authorities func() *x509.CertPool
	// Fresh brings this node's replica of an account up to what was acknowledged anywhere before
	// the call. It is asked once after each login, so that a client that comes from another node
	// finds no older state than it has seen there; its error only means that the session serves
	// what this node has. Nil: nothing is asked.
	Fresh func(ctx context.Context, a index.AccountID) error
	// Proxy connects to a node that holds the account's partition and serves the connection with
	// ServeProxied. Nil: accounts without a local replica are refused for now.
	Proxy func(ctx context.Context, who login.Identity) (net.Conn, error)

	// Site is the cluster as sessions know it. Nil: nobody administers it, and it has no annotations.
	Site engine.Site

	Hide       []string // capabilities that are not told; engine.Hideable says which can be
	Version    string
	MaxMessage int64            // octets that APPEND takes; mailstore.DefaultMaxMessage
	Clock      func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: none
	Metrics    Metrics          // nil: none
	Limits     Limits
}

// Limits bound what clients can take. A zero field is its default; a negative number is no limit.
type Limits struct {
	Connections           int // at a time; 20,000
	ConnectionsPerAddress int // at a time, an IPv6 /64 being one address; 500
	ConnectionsPerAccount int // at a time, those handed over by other nodes among them; 50
	Messages              int // that one command works on (RFC 9738, MESSAGELIMIT); 10,000,000
	Saves                 int // that one COPY or APPEND takes, in place of Messages (SAVELIMIT); no limit

	Login     time.Duration // from the connection to a login; 1 minute
	Idle      time.Duration // between commands; 30 minutes (RFC 9051, section 5.4)
	Command   time.Duration // between octets of one command; 2 minutes
	Write     time.Duration // until octets are taken; 2 minutes
	Handshake time.Duration // of TLS; 30 seconds
}

var errNotConfigured = errors.New("not configured")

func (c *Config) defaults() {
	if c.Shared == nil {
		c.Shared = c.Mail
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = mailstore.DefaultMaxMessage
	}
	l := &c.Limits
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Connections, 20000}, {&l.ConnectionsPerAddress, 500}, {&l.ConnectionsPerAccount, 50}, {&l.Messages, 10000000}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&l.Login, time.Minute}, {&l.Idle, 30 * time.Minute}, {&l.Command, 2 * time.Minute},
		{&l.Write, 2 * time.Minute}, {&l.Handshake, 30 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
}

type noMetrics struct{}

var _ Metrics = noMetrics{}

func (noMetrics) Connections(Kind, int)  {}
func (noMetrics) Refused(Kind)           {}
func (noMetrics) Command(string, string) {}
func (noMetrics) Login(bool)             {}
func (noMetrics) Proxied(int)            {}
