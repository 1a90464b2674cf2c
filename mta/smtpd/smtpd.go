// Package smtpd is the door for mail coming in: MX (port 25), submission (465 and 587) and LMTP. It
// speaks SMTP (RFC 5321), asks the directory who a recipient is, streams the message into the mail
// store, and answers 250 only after that has committed it. It keeps no state of its own beyond a
// connection.
//
// Extensions: PIPELINING, SIZE, 8BITMIME, SMTPUTF8, CHUNKING, ENHANCEDSTATUSCODES, LIMITS, STARTTLS
// and AUTH; to users whose mail can be queued also DSN, FUTURERELEASE, DELIVERBY and MT-PRIORITY, and within TLS REQUIRETLS.
// Those alone are offered; there is no BINARYMIME.
//
// The engine is our own, not the server of emersion/go-smtp, since two of that one's habits (v0.25.1)
// lose or leak mail and cannot be mended from outside: it takes a BDAT LAST chunk that the connection
// cut short for a whole message, and it does not see the end of a message behind CR CR LF, so that
// mail pipelined after it ends up inside of it. TestTruncatedChunk and TestEndAfterBareCR hold ours
// to the contrary. Its client serves in the tests.
package smtpd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/spool"
)

// Kind says what a listener is for.
type Kind string

// The kinds of listeners.
const (
	MX          Kind = "mx"          // from other servers: no authentication, own recipients only
	Submission  Kind = "submission"  // port 587: STARTTLS, then AUTH (RFC 6409)
	Submissions Kind = "submissions" // port 465: TLS from the first octet (RFC 8314)
	LMTP        Kind = "lmtp"        // from programs of this host, with a reply for each recipient
)

// submits reports whether clients are our own users.
func (k Kind) submits() bool { return k == Submission || k == Submissions }

// Bounds are the settings of the cluster that this door keeps.
type Bounds struct {
	MaxMessage    int64 // octets of the largest message
	MaxRecipients int   // of a message
	OnlyTagged    bool  // mail without a sender is for tagged addresses: see checkBounce
}

// Directory says who has an address; see Members. The errors of package directory are told apart,
// others are temporary.
type Directory interface {
	// Resolve finds whom the mail for an address goes to. The local part "postmaster" without a
	// domain is asked for too (RFC 5321, section 4.5.1).
	Resolve(address string) (directory.Resolution, error)
	// Owns reports whether an account may send as an address.
	Owns(account index.AccountID, address string) (bool, error)
	// Bounds returns the settings of this moment.
	Bounds() Bounds
}

// Incoming is a message on its way into the store; mailstore.Incoming is one.
type Incoming interface {
	io.Writer
	Deliver(ctx context.Context, d mailstore.Delivery) ([]mailstore.Outcome, error)
	Discard()
}

// Store is the mail store; see Mailstore.
type Store interface {
	// NewIncoming starts a message for accounts; trace are the header fields to put in front.
	NewIncoming(ctx context.Context, accounts []index.AccountID, trace []byte) Incoming
	// Usage tells how full an account is. Without limits it may tell of no use.
	Usage(ctx context.Context, account index.AccountID) (index.Usage, error)
}

// Queue takes messages for other domains.
type Queue interface {
	// Refuses says why nothing can be queued now; nil where it can.
	Refuses() *mta.Reply
	// May says why an account may not send a message to so many recipients now, whoever they are: a *queue.OverError. Nil
	// promises nothing.
	May(account index.AccountID, recipients int) error
	// Caretaker is the account that answers for what is sent on for nobody here.
	Caretaker() (index.AccountID, error)
	// Entry makes what queues a submission in one step with its delivery. Its times are set here.
	Entry(s queue.Submission) *mailstore.Also
}

// NoQueue is that of a door whose users send to own domains only.
type NoQueue struct{}

// Refuses implements Queue: nothing can be queued.
func (NoQueue) Refuses() *mta.Reply {
	return mta.Replyf(550, mta.NotAuthorized, "Sending to other domains is off here (outbound.enabled)")
}

// May implements Queue; it is not called.
func (NoQueue) May(index.AccountID, int) error { return nil }

// Caretaker implements Queue; it is not called.
func (NoQueue) Caretaker() (index.AccountID, error) { return 0, directory.ErrNoUser }

// Entry implements Queue; it is not called.
func (NoQueue) Entry(queue.Submission) *mailstore.Also { return nil }

// Exchange is one AUTH command; *login.Exchange is one.
type Exchange interface {
	sasl.Server
	// Identity returns who it is, after Next has said done without an error.
	Identity() login.Identity
}

// Authenticator checks credentials (RFC 4954); see Logins. The errors of package login are told
// apart, others are temporary.
type Authenticator interface {
	// Mechanisms lists what may be used on a connection; none hides AUTH.
	Mechanisms(conn login.Conn) []string
	// Begin starts an exchange.
	Begin(mechanism string, conn login.Conn) (Exchange, error)
}

// Metrics counts what happens. Calls come from many goroutines.
type Metrics interface {
	Connections(k Kind, delta int)                                   // opened (1) or closed (-1)
	Refused(k Kind, r *mta.Reply)                                    // a command or connection was refused
	Transaction(k Kind, r *mta.Reply, octets int64, d time.Duration) // a message was answered with r, d after its last octet
	Auth(k Kind, ok bool)
}

// Config is what a Server is made of. Fields without a default are required.
type Config struct {
	Hostname  string // ours, in greetings and Received fields
	Directory Directory
	Store     Store
	Queue     Queue // nil: nothing is sent to other domains
	// Told has the story of a message be kept; it may return nil. Nil: there are no stories.
	Told func(queue.Arrival) *mailstore.Around
	// Checks decide on connections and messages. Nil: all that is well-formed and has a recipient is taken.
	Checks Checks
	Spool  spool.Config // where messages wait for the verdict of Checks
	// Proxies are networks from which each connection begins with a header of the PROXY protocol; XCLIENT those from which the
	// command of that name is taken. What they say of a client is believed.
	Proxies, XCLIENT []netip.Prefix
	Auth             Authenticator // nil: no AUTH, and submission takes nothing
	TLS              *tls.Config   // nil: no STARTTLS, and no Submissions listener
	// Authorities are those whose certificates users are asked for in TLS; see login.UserTLS. Nil: none are. Other
	// servers, on MX, never are.
	Authorities func() *x509.CertPool
	Clock       func() time.Time // nil: time.Now
	NewID       func() mta.ID    // nil: random ones
	Logger      *slog.Logger     // nil: none
	Metrics     Metrics          // nil: none
	Limits      Limits
}

// Limits bound what clients can take. A zero field is its default; a negative number is no limit.
type Limits struct {
	Connections           int // at a time; 2,000
	ConnectionsPerAddress int // at a time, an IPv6 /64 being one address; 100
	ConnectionsPerAccount int // at a time, counted from AUTH on; 50
	Errors                int // bad commands on a connection; 20
	BadRecipients         int // refused recipients on a connection; 100
	AuthFailures          int // on a connection; 3
	Received              int // Received fields of a message before it counts as looping; 50

	// Waits for a client (RFC 5321, section 4.5.3.2).
	Command   time.Duration // for the next command; 5 minutes
	Data      time.Duration // for the next octets of a message; 3 minutes
	Message   time.Duration // for a message from its first to its last octet; 1 hour
	Write     time.Duration // until a reply is taken; 1 minute
	Handshake time.Duration // of TLS; 30 seconds
	Proxy     time.Duration // for the header of the PROXY protocol; 5 seconds
	Delivery  time.Duration // of the store; 1 minute. RFC 5321 gives us 10.
}

// errNotConfigured says that a listener needs something that Config does not have.
var errNotConfigured = errors.New("not configured")

func (c *Config) defaults() {
	if c.Queue == nil {
		c.Queue = NoQueue{}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.NewID == nil {
		c.NewID = RandomID
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	c.Limits.defaults()
}

func (l *Limits) defaults() {
	for _, n := range []struct {
		field *int
		value int
	}{
		{&l.Connections, 2000}, {&l.ConnectionsPerAddress, 100}, {&l.ConnectionsPerAccount, 50},
		{&l.Errors, 20}, {&l.BadRecipients, 100}, {&l.AuthFailures, 3}, {&l.Received, 50},
	} {
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&l.Command, 5 * time.Minute}, {&l.Data, 3 * time.Minute}, {&l.Message, time.Hour}, {&l.Write, time.Minute},
		{&l.Handshake, 30 * time.Second}, {&l.Proxy, 5 * time.Second}, {&l.Delivery, time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
}

// exceeds reports whether n is above limit, where there is one.
func exceeds(n, limit int) bool { return limit >= 0 && n > limit }

type noMetrics struct{}

func (noMetrics) Connections(Kind, int)                              {}
func (noMetrics) Refused(Kind, *mta.Reply)                           {}
func (noMetrics) Transaction(Kind, *mta.Reply, int64, time.Duration) {}
func (noMetrics) Auth(Kind, bool)                                    {}
