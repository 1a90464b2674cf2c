// Package remote makes one attempt to deliver a message to a domain: it finds the hosts, connects, speaks SMTP as a
// client (RFC 5321), and says for each recipient what became of it, in the words of the host. It keeps nothing
// but connections for a short while; when to try, and again, is decided elsewhere.
package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Resolver finds the hosts of a domain; *dns.Resolver is one.
type Resolver interface {
	MX(ctx context.Context, domain string) (dns.Mail, error)
	Addresses(ctx context.Context, host string) (dns.Addresses, error)
	TLSAPort(ctx context.Context, host string, port uint16) (list []dns.TLSA, secure bool, err error)
	Alias(ctx context.Context, name string) (secure bool, err error)
}

// Config says how a Client works. Resolver and Hostname are required.
type Config struct {
	Resolver Resolver
	Hostname string // ours, in EHLO
	Port     uint16 // of hosts; 25
	// Dial connects to a host by way of a source. An error that is ErrSource says that the host was not asked. Nil: DialFrom.
	Dial func(ctx context.Context, from Source, to netip.AddrPort) (net.Conn, error)
	// Own reports whether a host is one of ours: mail to it would come back to us. Nil: none is.
	Own    func(host string) bool
	Limits Limits
	// Policies are asked what hosts must show. Nil: nothing but what their TLSA records say.
	Policies Policies
	// Roots are the authorities that vouch for hosts. Nil: those of the system.
	Roots *x509.CertPool
	// Observe is told of each session, and of policies that stop one (RFC 8460). Nil: nobody is. It does not wait.
	Observe func(tlsrpt.Event)
	Clock   func() time.Time // nil: time.Now
}

// Limits bound what a host can take of us. A zero field is its default.
type Limits struct {
	Hosts int // that are connected to for one attempt; 10
	Reply int // octets of a reply; 64 KiB

	// Waits for a host (RFC 5321, section 4.5.3.2).
	Connect  time.Duration // 30 seconds
	Greeting time.Duration // 5 minutes
	Command  time.Duration // 5 minutes
	Data     time.Duration // for the octets of a message to be taken, at a time; 3 minutes
	Dot      time.Duration // for the reply to a message; 10 minutes
	Idle     time.Duration // for which a connection is kept for the next message; 5 seconds
	Uses     int           // messages over one connection; 100
}

func (l *Limits) defaults() {
	for _, n := range []struct {
		field *int
		value int
	}{{&l.Hosts, 10}, {&l.Reply, 64 << 10}, {&l.Uses, 100}} {
		if *n.field <= 0 {
			*n.field = n.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&l.Connect, 30 * time.Second}, {&l.Greeting, 5 * time.Minute}, {&l.Command, 5 * time.Minute},
		{&l.Data, 3 * time.Minute}, {&l.Dot, 10 * time.Minute}, {&l.Idle, 5 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
}

// Job is a message for recipients of one domain.
type Job struct {
	ID          string // of the mail transaction, for logs
	Account     index.AccountID
	Destination string
	Envelope    mta.Envelope // without recipients; Size is that of the message
	Recipients  []mta.Recipient
	// Open opens the message as it goes over the line, with lines ending in CRLF. It is called for each
	// host that takes a recipient.
	Open func() (io.ReadCloser, error)
	// Forward says that the message came from elsewhere and is sent on.
	Forward bool
	Hop     *Hop // nil: the hosts of the domain
	Source  Source
	Uses    int  // messages over one connection; 0: Limits.Uses
	Lane    Lane // where the attempt counts; nil: nowhere
}

// Kind is what became of a recipient.
type Kind int

// The kinds of results.
const (
	Delivered Kind = iota + 1
	Temporary      // another attempt may succeed
	Permanent
)

// Result is what became of a recipient.
type Result struct {
	Kind    Kind
	Host    string // that answered; empty where none did
	Address string // of the host
	TLS     string // version and cipher suite, and whether the host was authenticated; empty without TLS
	Reply   mta.Reply
	// Reached says that a host took the connection and spoke. Where none did it is the destination that is not
	// there, not this message that is not wanted.
	Reached bool
	Local   bool // it went into mailboxes of ours
	Reports bool // who took it makes the reports that were asked for (RFC 3461, section 5.2.2)
	By      bool // who took it sees to the time by which it is wanted (RFC 2852)
	// NoSource says that Job.Source was not there to connect by: no host was asked.
	NoSource bool
	// Postponed says that no attempt was made and when one may be: Kind is Temporary then, and Reply says why. Zero: one was.
	Postponed time.Time
	stopped   bool // a policy of TLS ruled the hosts out
}

// Client makes attempts, any number at a time. Close ends what it keeps.
type Client struct {
	c Config

	mu     sync.Mutex // guards what follows
	idle   map[place][]*session
	closed bool
}

// place is where a session goes, from where, as whom, and for what it is good enough: messages for the same place may share
// a connection.
type place struct {
	host    string
	address netip.AddrPort
	source  Source
	user    string // of a hop, with its password
	secret  string
	need    string // Key of the need that was met
}

// New makes a Client.
func New(c Config) *Client {
	if c.Port == 0 {
		c.Port = 25
	}
	if c.Dial == nil {
		c.Dial = DialFrom
	}
	if c.Own == nil {
		c.Own = func(string) bool { return false }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	c.Limits.defaults()
	return &Client{c: c, idle: map[place][]*session{}}
}

// Close closes the connections that are kept. Attempts that go on close theirs when they end.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	all := c.idle
	c.idle = nil
	c.mu.Unlock()
	for _, list := range all {
		for _, s := range list {
			s.timer.Stop()
			s.quit()
		}
	}
}

// take returns a connection that was kept for a place, or nil.
func (c *Client) take(p place) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	for list := c.idle[p]; len(list) > 0; list = c.idle[p] {
		s := list[len(list)-1]
		c.idle[p] = list[:len(list)-1]
		if s.timer.Stop() {
			return s
		}
	}
	delete(c.idle, p)
	return nil
}

// keep keeps a connection for the next message to the same place.
func (c *Client) keep(s *session) {
	c.mu.Lock()
	keep := !c.closed && s.uses < s.most
	if keep {
		s.timer = time.AfterFunc(c.c.Limits.Idle, func() { c.expire(s) })
		c.idle[s.place] = append(c.idle[s.place], s)
	}
	c.mu.Unlock()
	if !keep {
		s.quit()
	}
}

// expire closes a connection that nobody used in time.
func (c *Client) expire(s *session) {
	c.mu.Lock()
	list := c.idle[s.place]
	for i, other := range list {
		if other == s {
			c.idle[s.place] = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(c.idle[s.place]) == 0 {
		delete(c.idle, s.place)
	}
	c.mu.Unlock()
	s.quit()
}

// tlsConfig is how hosts are met. What they show is judged behind the handshake (tlspolicy.Need.Judge): that knows of more
// than authorities.
func tlsConfig(name string) *tls.Config {
	return &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
}
