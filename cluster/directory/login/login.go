// Package login decides who a client is: by password, SCRAM-SHA-256, certificate or a token of an issuer,
// against the node's own copy of the directory. It serves all doors alike (SMTP, IMAP, ManageSieve), as calls
// and as SASL mechanisms (RFC 4422) behind the Server interface of go-sasl.
//
// It is built for the worst minute: after a failover thousands of clients come back at once. Only so
// many passwords are computed at a time, the rest wait in a bounded queue; a password that was right
// before is known again in microseconds; and guesses are slowed down by the guesser's network and by
// the account, not by everybody's time. It remembers nothing over a restart, and tells other nodes
// nothing: what becomes of guessers is for its Guard.
package login

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// Errors of logins; test with errors.Is. An error that is none of them is of reading the directory
// and temporary.
var (
	// ErrBadCredentials says that user and password do not fit. It does not tell which (SMTP 535
	// 5.7.8, IMAP [AUTHENTICATIONFAILED]).
	ErrBadCredentials = errors.New("wrong user or password")
	// ErrDisabled says that the password is right, but the account may not log in (SMTP 535
	// 5.7.13, IMAP [AUTHORIZATIONFAILED]).
	ErrDisabled = errors.New("account is disabled")
	// ErrThrottled says that there were too many failures, that the network is banned, or that too many
	// logins wait. It is temporary (SMTP 454 4.7.0, IMAP [UNAVAILABLE]).
	ErrThrottled = errors.New("too many logins, try again later")
	// ErrAuthorization says that the client asked to act as somebody else (SMTP 535 5.7.8).
	ErrAuthorization = errors.New("may not act as another user")
	// ErrMechanism says that there is no such mechanism here (SMTP 504 5.5.4).
	ErrMechanism = errors.New("mechanism is not offered")
	// ErrEncryption says that the mechanism shows the password and the connection is not encrypted
	// (SMTP 538 5.7.11, IMAP [PRIVACYREQUIRED]).
	ErrEncryption = errors.New("only on an encrypted connection")
	// ErrMalformed says that a response is not of the mechanism's form (SMTP 501 5.5.2).
	ErrMalformed = errors.New("malformed response")
	// ErrIssuer says that the issuer of tokens could not be asked for its keys. It is temporary (SMTP
	// 454 4.7.0, IMAP [UNAVAILABLE]).
	ErrIssuer = errors.New("the issuer of tokens does not answer, try again later")
	// ErrChannelBinding says that the client sees another TLS connection than we do, or was told
	// of other mechanisms: somebody may be in between (SMTP 535 5.7.8).
	ErrChannelBinding = errors.New("channel binding does not fit")
)

// Identity is who a client is.
type Identity struct {
	Account cluster.AccountID
	Address string // the primary address, canonical
}

// Source is the local copy of the directory; a replica of its group is one.
type Source interface {
	// Snapshot returns the directory of this moment; the caller closes it.
	Snapshot() kv.Snapshot
}

// Config is what an Authenticator is made of. Directory is required; zero fields have the defaults
// that are named.
type Config struct {
	Directory Source
	Clock     func() time.Time // time.Now
	Logger    *slog.Logger     // none

	Parallel  int           // passwords computed at a time; the processors, less one where there are more
	Waiting   int           // logins that may wait for that; 10,000
	WaitLimit time.Duration // how long one waits; 30 s

	CacheSize int           // good logins remembered, and as many bad ones; 20,000
	CacheTime time.Duration // how long a good login is remembered; 4 h. A bad one: a tenth.

	// Guard knows the networks that logins come from; nil trusts and bans nobody.
	Guard Guard
	// GuardKey keys what Guard is told of users, so that Guards that tell each other of them mean the same. Zero is
	// a random one.
	GuardKey [32]byte

	// Authorities vouch for users by certificates, which EXTERNAL takes; whoever they sign a mail address for is the
	// user of that address. Nil, and while it returns nil: there is no EXTERNAL. It is called often.
	Authorities func() *x509.CertPool
	// Tokens checks tokens of the issuer that the cluster's setting oidc_issuer names; nil takes none.
	Tokens Tokens

	// PlainOnLoopback offers PLAIN and LOGIN without TLS to clients of this machine.
	PlainOnLoopback bool

	AddressBurst  int           // failures from a network (IPv4 address, IPv6 /64) before it is slowed; 100
	AddressRefill time.Duration // until it may fail once more; 1 s
	AccountBurst  int           // failures of an account from networks it never logged in from; 10
	AccountRefill time.Duration // until it may fail once more; 30 s
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Guard == nil {
		c.Guard = open{}
	}
	c.Parallel = or(c.Parallel, max(1, runtime.GOMAXPROCS(0)-1))
	c.Waiting = or(c.Waiting, 10_000)
	c.WaitLimit = or(c.WaitLimit, 30*time.Second)
	c.CacheSize = or(c.CacheSize, 20_000)
	c.CacheTime = or(c.CacheTime, 4*time.Hour)
	c.AddressBurst = or(c.AddressBurst, 100)
	c.AddressRefill = or(c.AddressRefill, time.Second)
	c.AccountBurst = or(c.AccountBurst, 10)
	c.AccountRefill = or(c.AccountRefill, 30*time.Second)
	return c
}

func or[T int | time.Duration](value, fallback T) T {
	if value > 0 {
		return value
	}
	return fallback
}

// Authenticator checks logins. Methods may be called from any goroutine. It starts none and needs no
// closing.
type Authenticator struct {
	config    Config
	gate      *gate
	memory    *memory
	addresses *throttle
	accounts  *throttle
	counters  counters
}

// New makes an Authenticator. The error is that of the system's random source.
func New(config Config) (*Authenticator, error) {
	config = config.withDefaults()
	if config.Directory == nil {
		return nil, errors.New("login without a directory")
	}
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("draw the key of remembered logins: %w", err)
	}
	if config.GuardKey == [32]byte{} {
		config.GuardKey = key
	}
	return &Authenticator{
		config:    config,
		gate:      newGate(config.Parallel, config.Waiting, config.WaitLimit),
		memory:    newMemory(key, config.CacheSize, config.CacheTime),
		addresses: newThrottle(config.AddressBurst, config.AddressRefill),
		accounts:  newThrottle(config.AccountBurst, config.AccountRefill),
	}, nil
}

// Stats counts logins since New.
type Stats struct {
	Computed  uint64 // passwords that were computed
	Cached    uint64 // logins answered from memory
	Succeeded uint64
	Refused   uint64 // wrong user or password, disabled, not authorised
	Throttled uint64
	Waiting   int // logins that wait for a processor now
}

type counters struct {
	computed, cached, succeeded, refused, throttled atomic.Uint64
}

// Stats returns the counts for metrics.
func (a *Authenticator) Stats() Stats {
	return Stats{
		Computed: a.counters.computed.Load(), Cached: a.counters.cached.Load(),
		Succeeded: a.counters.succeeded.Load(), Refused: a.counters.refused.Load(),
		Throttled: a.counters.throttled.Load(), Waiting: a.gate.waiters(),
	}
}

// settle counts and logs how a login ended.
func (a *Authenticator) settle(username string, remote netip.Addr, err error) {
	switch {
	case err == nil:
		a.counters.succeeded.Add(1)
	case errors.Is(err, ErrThrottled):
		a.counters.throttled.Add(1)
	default:
		a.counters.refused.Add(1)
	}
	if err != nil {
		a.config.Logger.Debug("login refused", "user", username, "remote", remote, "error", err)
	}
}
