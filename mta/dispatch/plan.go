package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/egress"
	"github.com/rookery-mail/rookery/mta/receiver"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/route"
)

// plan is what the directory says of routes and addresses.
type plan struct {
	routes    route.Table
	addresses []egress.Address
	read      time.Time
}

// planFor is how long a plan is gone by: it is asked for with every attempt.
const planFor = time.Second

// plans keeps the plan that was read last.
type plans struct {
	mu   sync.Mutex // guards what follows
	last *plan
}

// at returns the plan of about now.
func (p *plans) at(d *Dispatcher) (*plan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := d.c.Clock()
	if p.last != nil && now.Sub(p.last.read) < planFor && !now.Before(p.last.read) {
		return p.last, nil
	}
	next, err := d.readPlan()
	if err != nil {
		return nil, err
	}
	next.read = now
	p.last = next
	return next, nil
}

// readPlan reads the plan as it is now.
func (d *Dispatcher) readPlan() (*plan, error) {
	next := new(plan)
	var routes []*directorypb.MailRecord
	err := d.view(func(v directory.View) error {
		err := v.EachMailRecord(directory.MailRoute, "", func(r *directorypb.MailRecord) error {
			routes = append(routes, r)
			return nil
		})
		if err != nil {
			return err
		}
		return v.EachMailRecord(directory.MailEgress, "", func(r *directorypb.MailRecord) error {
			a, err := egress.Of(r)
			if err != nil {
				d.c.Logger.Warn("an address to go out by is passed over", "error", err)
				return nil
			}
			next.addresses = append(next.addresses, a)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	next.routes = route.NewTable(routes)
	return next, nil
}

// candidates are the addresses that may be used, in the order in which they are tried. Where none is configured it is this
// node, by whatever address the system picks.
func (p *plan) candidates(d *Dispatcher, w egress.Want) []egress.Address {
	if len(p.addresses) == 0 {
		return []egress.Address{{Name: string(d.c.Node), Node: d.c.Node}}
	}
	return egress.Order(p.addresses, w, d.c.Random)
}

// way is where a message goes, as far as DNS says.
type way struct {
	site   string
	known  bool // the site is that of a host, and not a guess
	v4, v6 bool // the kinds of addresses of the hosts that are tried first

	hosts   []string
	problem error // why there are none
}

// firsts is how many hosts are looked at.
const firsts = 2

// way finds out where a job goes. What is asked of DNS here is asked again by who connects, out of the resolver's memory. Where
// there is no answer the way is any: who connects finds that out too.
func (d *Dispatcher) way(ctx context.Context, job remote.Job) way {
	hosts, err := d.hosts(ctx, job)
	if len(hosts) == 0 {
		return way{site: receiver.Site(job.Destination), v4: true, v6: true, problem: err}
	}
	w := way{site: receiver.Site(hosts[0]), known: true, hosts: hosts}
	for _, h := range hosts[:min(len(hosts), firsts)] {
		a, err := remote.Lookup(ctx, d.c.Resolver, h)
		if err == nil {
			w.v4, w.v6 = w.v4 || len(a.V4) > 0, w.v6 || len(a.V6) > 0
		}
	}
	if !w.v4 && !w.v6 {
		w.v4, w.v6 = true, true
	}
	return w
}

// hosts are those that a job goes to, in order.
func (d *Dispatcher) hosts(ctx context.Context, job remote.Job) (hosts []string, err error) {
	if job.Hop == nil {
		mail, err := d.c.Resolver.MX(ctx, job.Destination)
		for _, h := range mail.Hosts {
			hosts = append(hosts, h.Name)
		}
		if err == nil && mail.Null {
			err = errors.New("the domain takes no mail (null MX)")
		}
		return hosts, err
	}
	for _, text := range job.Hop.Hosts {
		host, _, err := remote.HostPort(text, 25)
		if err != nil {
			return hosts, err
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}
