package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/egress"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/route"
)

var _ adminapi.Routing = (*Node)(nil)

// Routes lists the routes in their order, without passwords.
func (n *Node) Routes(context.Context) ([]adminapi.Route, error) {
	list, err := n.mailRecordsOf(directory.MailRoute, "")
	out := []adminapi.Route{}
	for _, r := range route.NewTable(list) {
		out = append(out, adminapi.Route{Name: r.Name, Order: r.Order, Recipients: r.Recipients, Senders: r.Senders, Hosts: r.Hosts,
			Username: r.Username, TLS: r.Tls, Egress: r.Egress})
	}
	return out, err
}

// PutRoute makes or replaces a route. Without a password that of before stays with the same name of the login.
func (n *Node) PutRoute(ctx context.Context, in adminapi.Route) error {
	r := &directorypb.Route{Order: in.Order, Recipients: in.Recipients, Senders: in.Senders, Hosts: in.Hosts, Username: in.Username, Password: in.Password, Tls: in.TLS, Egress: in.Egress}
	var expected uint64
	err := n.view(func(v directory.View) error {
		was, err := v.MailRecord(directory.MailRoute, in.Name)
		if errors.Is(err, directory.ErrNotFound) {
			return nil
		}
		expected = was.GetVersion()
		if r.Password == "" && r.Username != "" && was.GetRoute().GetUsername() == r.Username {
			r.Password = was.GetRoute().GetPassword()
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, p := range r.Recipients {
		if name, err := address.ParseDomain(strings.TrimPrefix(p, ".")); err == nil && p != "*" {
			r.Recipients[i] = p[:len(p)-len(strings.TrimPrefix(p, "."))] + name
		}
	}
	for _, h := range r.Hosts {
		if _, _, err := remote.HostPort(h, 25); err != nil {
			return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
		}
	}
	if err := route.Prepare(in.Name, r); err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	return n.putMail(ctx, directory.MailChange{Record: &directorypb.MailRecord{Name: in.Name, Record: &directorypb.MailRecord_Route{Route: r}}, Expected: &expected})
}

// DeleteRoute takes a route away.
func (n *Node) DeleteRoute(ctx context.Context, name string) error {
	return n.removeMail(ctx, directory.MailRoute, name)
}

// TestRoute says how a message would leave now.
func (n *Node) TestRoute(ctx context.Context, t adminapi.RouteTest) (adminapi.RouteWay, error) {
	if n.outbound == nil {
		return adminapi.RouteWay{}, fmt.Errorf("%w: node %s does not send mail to other domains ([outbound] of its configuration)", directory.ErrInvalid, n.id)
	}
	if !strings.Contains(t.Recipient, "@") {
		t.Recipient = "postmaster@" + t.Recipient
	}
	x, err := n.outbound.routes.Explain(ctx, strings.Trim(t.Sender, "<>"), queue.DestinationOf(t.Recipient))
	if err != nil {
		return adminapi.RouteWay{}, err
	}
	out := adminapi.RouteWay{Route: x.Route, Site: x.Site, Hosts: x.Hosts, Egress: []adminapi.RouteFrom{}}
	if x.Problem != nil {
		out.Problem = x.Problem.Error()
	}
	if x.Hop != nil {
		out.Hosts, out.TLS = x.Hop.Hosts, x.Hop.Level.String()
	}
	for _, f := range x.From {
		out.Egress = append(out.Egress, adminapi.RouteFrom{Address: f.Address, Node: string(f.Node), Why: f.Why})
	}
	return out, nil
}

// Egresses lists the addresses that mail leaves by, with what receivers think of them.
func (n *Node) Egresses(context.Context) ([]adminapi.Egress, error) {
	list, err := n.mailRecordsOf(directory.MailEgress, "")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	out := []adminapi.Egress{}
	for _, r := range list {
		a, err := egress.Of(r)
		if err != nil {
			return nil, err
		}
		e := adminapi.Egress{Address: a.Name, Node: string(a.Node), Hello: a.Hello, Weight: a.Weight, Paused: a.Paused, WarmFrom: a.Warm}
		if bound, ok := a.Bound(now); ok {
			e.Today, e.WarmDays, e.WarmDay = uint32(bound), len(a.Plan), int(now.UTC().Sub(a.Warm.Truncate(24*time.Hour))/(24*time.Hour))+1
		}
		prefix := egress.VolumeName(egress.DayOf(now), a.Name, "")
		volumes, err := n.mailRecordsOf(directory.MailVolume, prefix)
		if err != nil {
			return nil, err
		}
		for _, v := range volumes {
			e.Volumes = append(e.Volumes, adminapi.EgressSent{Site: strings.TrimPrefix(v.Name, prefix), Taken: v.GetVolume().GetTaken()})
		}
		if e.Blocks, err = n.blocksOf(a.Name); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if len(out) > 0 {
		return out, nil
	}
	nodes, _, err := n.membersAndMap()
	for _, m := range nodes { // which send by whatever address they have
		blocks, err := n.blocksOf(string(m.ID))
		if err != nil {
			return nil, err
		}
		if len(blocks) > 0 {
			out = append(out, adminapi.Egress{Address: "any", Node: string(m.ID), Weight: 1, Blocks: blocks})
		}
	}
	return out, err
}

// blocksOf lists the receivers that block an address, or did.
func (n *Node) blocksOf(name string) (out []adminapi.EgressBlock, err error) {
	prefix := egress.BlockName(name, "")
	list, err := n.mailRecordsOf(directory.MailBlock, prefix)
	for _, r := range list {
		b := r.GetBlock()
		out = append(out, adminapi.EgressBlock{Site: strings.TrimPrefix(r.Name, prefix), Since: time.UnixMilli(b.GetSince()).UTC(), Until: time.UnixMilli(b.GetUntil()).UTC(),
			Times: b.GetTimes(), Reply: b.GetReply()})
	}
	return out, err
}

// PutEgress makes an address one that mail leaves by, or changes it.
func (n *Node) PutEgress(ctx context.Context, in adminapi.Egress) error {
	name, err := egress.NameOf(in.Address)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	e := &directorypb.Egress{Address: name}
	var expected uint64
	err = n.view(func(v directory.View) error {
		was, err := v.MailRecord(directory.MailEgress, name)
		if err == nil {
			expected, e = was.Version, was.GetEgress()
		} else if !errors.Is(err, directory.ErrNotFound) {
			return err
		}
		if in.Node != "" {
			e.Node = in.Node
		}
		members, err := v.Nodes()
		for _, m := range members {
			if string(m.ID) == e.Node && m.State != directory.NodeRemoved {
				return err
			}
		}
		return errors.Join(err, fmt.Errorf("%w: no node %q has the address %s", directory.ErrInvalid, e.Node, name))
	})
	if err != nil {
		return err
	}
	if err := changeEgress(e, in, time.Now()); err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	return n.putMail(ctx, directory.MailChange{Record: &directorypb.MailRecord{Name: name, Record: &directorypb.MailRecord_Egress{Egress: e}}, Expected: &expected})
}

// changeEgress applies what is set of a change.
func changeEgress(e *directorypb.Egress, in adminapi.Egress, now time.Time) error {
	if in.Hello != "" {
		name, err := address.ParseDomain(in.Hello)
		if err != nil {
			return fmt.Errorf("the name for EHLO: %w", err)
		}
		e.Hello = name
	}
	if in.Weight != 0 {
		e.Weight = in.Weight
	}
	if in.WarmUp == "" {
		return nil
	}
	plan, err := egress.ParsePlan(in.WarmUp)
	if err != nil {
		return err
	}
	if e.WarmPlan, e.WarmFrom = plan, 0; plan != nil {
		from := in.WarmFrom
		if from.IsZero() {
			from = now
		}
		e.WarmFrom = from.UnixMilli()
	}
	return nil
}

// DeleteEgress has mail no longer leave by an address. What is known of it is forgotten with its time.
func (n *Node) DeleteEgress(ctx context.Context, text string) error {
	name, err := egress.NameOf(text)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	return n.removeMail(ctx, directory.MailEgress, name)
}

// PauseEgress stops mail from leaving by an address, or lets it.
func (n *Node) PauseEgress(ctx context.Context, text string, pause bool) error {
	name, err := egress.NameOf(text)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	r, err := n.mailRecord(directory.MailEgress, name)
	if err != nil {
		return err
	}
	r.GetEgress().Paused = pause
	return n.putMail(ctx, directory.MailChange{Record: r, Expected: &r.Version})
}

// UnblockEgress forgets that a receiver blocks an address.
func (n *Node) UnblockEgress(ctx context.Context, name, site string) error {
	if ip, err := egress.NameOf(name); err == nil {
		name = ip
	}
	return n.removeMail(ctx, directory.MailBlock, egress.BlockName(name, site))
}
