// Package porter looks at clients of port 25 before they hand over a message: it asks DNS and its lists about them, counts
// them, has suspicious ones come again, and makes those wait who try names. What the facts mean is for mta/policy,
// mta/dnsbl, mta/greylist and mta/meter; what becomes of the findings is for mta/inbound; the dialogue is mta/smtpd's.
package porter

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dnsbl"
	"github.com/rookery-mail/rookery/mta/greylist"
	"github.com/rookery-mail/rookery/mta/meter"
	"github.com/rookery-mail/rookery/mta/policy"
)

// Resolver is what is asked; *dns.Resolver is one.
type Resolver interface {
	Names(ctx context.Context, address netip.Addr) ([]string, error)
	Addresses(ctx context.Context, host string) (dns.Addresses, error)
	MX(ctx context.Context, domain string) (dns.Mail, error)
	Listed(ctx context.Context, name string) ([]netip.Addr, error)
}

var _ Resolver = (*dns.Resolver)(nil)

// Guard knows who is kept out of the cluster.
type Guard interface {
	// Banned returns until when an address is banned, and why.
	Banned(remote netip.Addr) (until time.Time, reason string, banned bool)
	// Probed notes that a client named a recipient whom nobody knows, and says how long the answer waits.
	Probed(remote netip.Addr, recipient string) time.Duration
	// Welcome notes that a client's message was taken for a recipient.
	Welcome(remote netip.Addr, recipient string)
}

// Rates are how much may come of one origin; a Count of 0 is any number.
type Rates struct{ Connections, Messages, Recipients meter.Limit }

// Rules are the settings of the cluster that a porter goes by.
type Rules struct {
	Early, Hello, Reverse, Sender policy.Mode

	ListRefuse    float64 // sum of the lists' scores at which recipients are refused; 0: never
	GreylistScore float64 // from which on a client is asked to come again; 0: never
	Greylist      greylist.Policy

	Address, Network, From Rates // of a client's address, of its network, of a sender

	Unchecked func(netip.Addr) bool // who is let in unseen
	Trusted   func(netip.Addr) bool // who is not counted
	Lists     []dnsbl.List
	Ours      func(name string) bool // whether a name, in lower case, is that of a node or a domain of ours
}

// Config is what a Porter is made of. Fields without a default are required.
type Config struct {
	Resolver Resolver
	Guard    Guard
	Rules    func() Rules // of this moment; asked for with each connection
	Greylist *greylist.List
	News     func()           // there may be news of Greylist; nil: nobody is told
	Count    func(Why)        // counts who was refused, put off or slowed down; nil: nobody does
	Patience time.Duration    // how long who is suspicious waits for our greeting; 4 s
	Ask      time.Duration    // for all questions to DNS of one step; 4 s
	Clock    func() time.Time // nil: time.Now
	Logger   *slog.Logger     // nil: none
}

// Why is for what a client was refused, put off or slowed down; the words stand in metrics.
type Why string

// What there is.
const (
	Banned     Why = "banned"
	Early      Why = "early"
	Greeting   Why = "helo"
	Greylisted Why = "greylist"
	Listed     Why = "dnsbl"
	Nameless   Why = "reverse"
	Rate       Why = "rate"
	Sender     Why = "sender"
	Slowed     Why = "slowed"
)

// Porter is for any number of connections.
type Porter struct {
	c     Config
	meter *meter.Meter
	ctx   context.Context // ends the waits of those who try names
	close context.CancelFunc

	mu    sync.Mutex // guards lists
	lists map[string]ListState
}

// New makes a Porter; Close ends its waits.
func New(c Config) *Porter {
	if c.News == nil {
		c.News = func() {}
	}
	if c.Count == nil {
		c.Count = func(Why) {}
	}
	if c.Patience <= 0 {
		c.Patience = 4 * time.Second
	}
	if c.Ask <= 0 {
		c.Ask = 4 * time.Second
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Porter{c: c, meter: meter.New(), lists: map[string]ListState{}}
	p.ctx, p.close = context.WithCancel(context.Background())
	return p
}

// Close has those go on who are made to wait, and nobody wait any more. It is called before the door shuts.
func (p *Porter) Close() { p.close() }

// patience of a sender of mail: a ban that lasts longer is told as one that stays (RFC 5321, section 4.5.4.1).
const patience = 5 * 24 * time.Hour

// keptOut is the reply to who is banned.
func keptOut(remote netip.Addr, until, now time.Time) *mta.Reply {
	if until.Sub(now) > patience {
		return mta.Replyf(554, mta.NotAuthorized, "Mail from %v is not taken here", remote)
	}
	return mta.Replyf(421, mta.TempSecurity, "Mail from %v is not taken before %s", remote, until.UTC().Format("15:04 MST on 2 Jan"))
}
