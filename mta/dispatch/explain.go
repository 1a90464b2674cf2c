package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/egress"
	"github.com/rookery-mail/rookery/mta/remote"
)

// Explained is how a message would leave.
type Explained struct {
	Hop     *remote.Hop // nil: the hosts of the domain
	Route   string      // empty: none is for it
	Hosts   []string
	Site    string
	Problem error // why hosts are not known
	From    []From
}

// From is an address that a message may leave by.
type From struct {
	Address string
	Node    cluster.NodeID
	Why     string // not now; empty: it may
}

// Explain says how mail of a sender to a domain would leave now.
func (d *Dispatcher) Explain(ctx context.Context, sender, domain string) (Explained, error) {
	p, err := d.readPlan()
	if err != nil {
		return Explained{}, err
	}
	a := &attempt{d: d, job: remote.Job{Destination: domain, Envelope: mta.Envelope{From: sender}}}
	a.route(p)
	w := d.way(ctx, a.job)
	x := Explained{Hop: a.job.Hop, Site: w.site, Hosts: w.hosts, Problem: w.problem}
	if r, ok := p.routes.Find(sender, domain); ok {
		x.Route = r.Name
	} else if a.job.Hop != nil {
		x.Route = a.job.Hop.Route
	}
	list := p.addresses
	if len(list) == 0 {
		list = p.candidates(d, egress.Want{})
	}
	for _, from := range list {
		why, err := d.why(from, a.names, w)
		if err != nil {
			return x, err
		}
		x.From = append(x.From, From{Address: from.Name, Node: from.Node, Why: why})
	}
	return x, nil
}

// why says what keeps an address from being used, empty for nothing.
func (d *Dispatcher) why(from egress.Address, names []string, w way) (string, error) {
	now := d.c.Clock()
	switch {
	case from.Paused:
		return "paused", nil
	case !from.Fits(egress.Want{Names: names, V4: true, V6: true}):
		return "not of the route", nil
	case !from.Fits(egress.Want{V4: w.v4, V6: w.v6}):
		return "the hosts have no address of its kind", nil
	}
	b, err := d.blockOf(from.Name, w.site)
	if err != nil {
		return "", err
	}
	if until := time.UnixMilli(b.record().Until); now.Before(until) {
		return "blocked until " + until.UTC().Format(time.RFC3339) + ": " + b.record().Reply, nil
	}
	bound, bounded := from.Bound(now)
	if !bounded {
		return "", nil
	}
	var taken uint64
	err = d.view(func(v directory.View) error {
		r, err := v.MailRecord(directory.MailVolume, egress.VolumeName(egress.DayOf(now), from.Name, w.site))
		if errors.Is(err, directory.ErrNotFound) {
			return nil
		}
		taken = r.GetVolume().GetTaken()
		return err
	})
	if err == nil && taken >= bound {
		return "what its warm-up allows today is given out", nil
	}
	return "", err
}
