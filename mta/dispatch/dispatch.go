// Package dispatch decides how an attempt leaves: by which route, out of which of the cluster's addresses, and whether now
// is the time, and has the next link of the chain make it. What it goes by are records of the directory, shared by all
// nodes: routes, addresses, what an address sent on a day of its warm-up, and who blocks it. It speaks to no host.
package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/egress"
	"github.com/rookery-mail/rookery/mta/receiver"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
)

// Deliverer makes an attempt; *remote.Client is one.
type Deliverer interface {
	Deliver(ctx context.Context, job remote.Job) []remote.Result
}

// Directory is where the records are.
type Directory interface {
	View(fn func(directory.View) error) error
	// Put changes records of mail, all or none; the error may be directory.ErrConflict.
	Put(ctx context.Context, changes ...directory.MailChange) error
}

// Resolver finds the hosts of a domain; *dns.Resolver is one.
type Resolver interface {
	MX(ctx context.Context, domain string) (dns.Mail, error)
	remote.AddressResolver
}

// Config is what a Dispatcher works with. Fields without a default are required.
type Config struct {
	Node      cluster.NodeID
	Next      Deliverer
	Directory Directory
	Resolver  Resolver
	Relay     *remote.Hop // takes what no route is for; nil: the hosts of the domain do
	// Limits gives those of a site. Nil: receiver.Known().Of.
	Limits func(site string) receiver.Limits
	Clock  func() time.Time
	Random func() float64 // in [0, 1)
	Logger *slog.Logger   // nil: none
}

// Dispatcher is a link of the chain that an attempt goes through.
type Dispatcher struct {
	c     Config
	plans plans

	mu      sync.Mutex // guards what follows
	budgets map[budgetKey]*budget
	today   string // the day of budgets
}

var _ Deliverer = (*Dispatcher)(nil)

// New makes a Dispatcher.
func New(c Config) *Dispatcher {
	if c.Limits == nil {
		c.Limits = receiver.Known().Of
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Dispatcher{c: c, budgets: map[budgetKey]*budget{}}
}

// The codes of what is put off (RFC 3463): the network is busy, or the address that mail would come from must wait.
const (
	busy    mta.Enhanced = "4.4.5"
	noEntry mta.Enhanced = "4.7.1"
)

// retrySoon is after which time what cannot be decided now is looked at again.
const retrySoon = time.Minute

// Deliver makes an attempt by way of the addresses that may be used, one after the other where one is not there or
// is blocked. What has none waits.
func (d *Dispatcher) Deliver(ctx context.Context, job remote.Job) []remote.Result {
	a := &attempt{d: d, job: job, results: make([]remote.Result, len(job.Recipients))}
	for i := range job.Recipients {
		a.open = append(a.open, i)
	}
	p, err := d.plans.at(d)
	if err != nil {
		a.later(d.c.Clock().Add(retrySoon), mta.TempSystem, "Routes cannot be read now: "+err.Error())
		return a.finish()
	}
	a.route(p)
	w := d.way(ctx, a.job)
	a.site = w.site
	if job.Lane != nil && w.known {
		if again, ok := job.Lane.Move(w.site); !ok {
			a.later(again, busy, w.site+" is sent as much as it takes for now")
			return a.finish()
		}
	}
	a.job.Uses = d.c.Limits(w.site).Messages
	list := p.candidates(d, egress.Want{Names: a.names, V4: w.v4, V6: w.v6})
	if len(list) == 0 {
		a.later(d.c.Clock().Add(5*retrySoon), noEntry, "No address that mail to "+w.site+" may go out by is in use")
	}
	for _, from := range list {
		if len(a.open) == 0 || ctx.Err() != nil {
			break
		}
		a.by(ctx, from)
	}
	return a.finish()
}

// attempt is one Deliver.
type attempt struct {
	d       *Dispatcher
	job     remote.Job
	names   []string // of addresses that the route allows
	site    string
	results []remote.Result
	open    []int // recipients that may be tried by another address
	tried   egress.Address
	dead    bool          // nobody answered tried
	wait    remote.Result // what becomes of those who have no result
}

// route applies the route for the message, if there is one.
func (a *attempt) route(p *plan) {
	r, ok := p.routes.Find(a.job.Envelope.From, a.job.Destination)
	a.job.Hop = a.d.c.Relay
	if !ok {
		return
	}
	a.names, a.job.Hop = r.Egress, nil
	if len(r.Hosts) > 0 {
		level, _ := tlspolicy.ParseLevel(r.Tls) // a route that asks for nothing has no word
		a.job.Hop = &remote.Hop{Route: r.Name, Hosts: r.Hosts, Username: r.Username, Password: r.Password, Level: level}
	}
}

// later notes until when those who get no result wait, the earliest time of all.
func (a *attempt) later(at time.Time, code mta.Enhanced, text string) {
	if a.wait.Postponed.IsZero() || at.Before(a.wait.Postponed) {
		a.wait = remote.Result{Kind: remote.Temporary, Reply: *mta.Replyf(0, code, "%s", text), Postponed: at}
	}
}

// finish gives all that have none a result.
func (a *attempt) finish() []remote.Result {
	for i := range a.results {
		if a.results[i].Kind == 0 {
			if a.results[i] = a.wait; a.wait.Kind == 0 { // ctx has ended
				a.results[i] = remote.Result{Kind: remote.Temporary, Reply: *mta.Replyf(0, mta.TempSystem, "The attempt was broken off"), Postponed: a.d.c.Clock()}
			}
		}
	}
	return a.results
}

// by tries those who are open by way of an address.
func (a *attempt) by(ctx context.Context, from egress.Address) {
	if a.dead && from.IP.Is4() == a.tried.IP.Is4() {
		return // the host is not there for this kind of addresses
	}
	now := a.d.c.Clock()
	block, err := a.d.blockOf(from.Name, a.site)
	if err != nil {
		a.later(now.Add(retrySoon), mta.TempSystem, err.Error())
		return
	}
	if until := time.UnixMilli(block.record().Until); now.Before(until) {
		a.later(until, noEntry, a.site+" blocks mail from "+from.Name+": "+block.record().Reply)
		return
	}
	granted, err := a.d.take(ctx, from, a.site, len(a.open))
	switch {
	case err != nil:
		a.later(now.Add(retrySoon), mta.TempSystem, err.Error())
		return
	case granted.n < len(a.open):
		a.later(egress.NextDay(now), noEntry, "The warm-up of "+from.Name+" allows no more mail to "+a.site+" today")
	}
	if granted.n == 0 {
		return
	}
	a.made(ctx, from, block, granted, a.send(ctx, from, granted.n))
}

// send has the next link make the attempt, for the first of those who are open.
func (a *attempt) send(ctx context.Context, from egress.Address, n int) []remote.Result {
	job := a.job
	job.Source = remote.Source{Address: from.IP, Hello: from.Hello}
	if from.Node != a.d.c.Node {
		job.Source.Node = from.Node
	}
	job.Recipients = make([]mta.Recipient, n)
	for i, index := range a.open[:n] {
		job.Recipients[i] = a.job.Recipients[index]
	}
	return a.d.c.Next.Deliver(ctx, job)
}

// made takes over what became of those who were tried. Who may be tried by another address stays open.
func (a *attempt) made(ctx context.Context, from egress.Address, block block, g grant, results []remote.Result) {
	var open []int
	var said *remote.Result // why the receiver blocks the address
	reached, delivered, connected := false, false, false
	for i, r := range results {
		index := a.open[i]
		switch {
		case r.NoSource:
			a.later(a.d.c.Clock().Add(retrySoon), noEntry, from.Name+": "+r.Reply.Text)
			open = append(open, index)
			continue
		case a.job.Hop == nil && r.Kind != remote.Delivered && receiver.Read(r.Reply) == receiver.Blocked:
			r.Kind = remote.Temporary // it is not the message that is not wanted
			open, said = append(open, index), &r
		case r.Kind == remote.Temporary && !r.Reached && r.Address != "" && from.IP.IsValid():
			open = append(open, index)
			a.dead, a.tried = true, from
		}
		a.results[index] = r
		reached, delivered, connected = reached || r.Reached, delivered || r.Kind == remote.Delivered, true
	}
	if !reached {
		g.giveBack()
	}
	a.open = append(open, a.open[len(results):]...)
	switch {
	case said != nil && !delivered:
		a.d.blocked(ctx, block, *said)
	case delivered && connected && block.version != 0:
		a.d.unblocked(ctx, block)
	}
}

// view reads the directory.
func (d *Dispatcher) view(fn func(directory.View) error) error { return d.c.Directory.View(fn) }
