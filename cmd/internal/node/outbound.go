package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cmd/internal/config"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/runner"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// How long a message is tried, and after which time its sender is told that it is late (RFC 5321, section 4.5.4.1).
const (
	queueLife  = 5 * 24 * time.Hour
	tellsAfter = 4 * time.Hour
)

// outbound is what the workers of all partitions share.
type outbound struct {
	client *remote.Client
	lanes  *runner.Lanes
}

// openOutbound makes ready for mail to other domains, where that is on.
func (n *Node) openOutbound() error {
	o := n.cfg.Outbound
	if !o.Enabled {
		return nil
	}
	servers, err := resolvers(o.Resolvers)
	if err != nil {
		return err
	}
	c := remote.Config{Resolver: dns.New(dns.Config{Servers: servers}), Hostname: n.cfg.SMTP.Hostname,
		Own: func(host string) bool { return strings.EqualFold(host, n.cfg.SMTP.Hostname) }}
	if o.Relay != "" {
		host, port, err := net.SplitHostPort(o.Relay)
		if err != nil {
			return fmt.Errorf("outbound.relay: %w", err)
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return fmt.Errorf("outbound.relay: %w", err)
		}
		c.Resolver, c.Port, c.Own = relay{host, c.Resolver}, uint16(number), nil
	}
	n.outbound = &outbound{client: remote.New(c), lanes: runner.NewLanes()}
	n.onStop("connections to other hosts", func(context.Context) error { n.outbound.client.Close(); return nil })
	return nil
}

// resolvers are those of the configuration, or of the system.
func resolvers(named []string) ([]string, error) {
	if len(named) == 0 {
		c, err := mdns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return nil, fmt.Errorf("outbound.resolvers names none, and the system's are not known: %w", err)
		}
		named = c.Servers
	}
	servers := make([]string, 0, len(named))
	for _, text := range named {
		s, err := config.ResolverAddress(text)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// relay has one host take the mail of all domains.
type relay struct {
	host string
	remote.Resolver
}

func (r relay) MX(context.Context, string) (dns.Mail, error) {
	return dns.Mail{Hosts: []dns.Host{{Name: r.host}}}, nil
}

func (r relay) Addresses(ctx context.Context, host string) (dns.Addresses, error) {
	a, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return r.Resolver.Addresses(ctx, host)
	case a.Is4():
		return dns.Addresses{V4: []netip.Addr{a}}, nil
	}
	return dns.Addresses{V6: []netip.Addr{a}}, nil
}

// sendMail works on the queue of a partition, as leader work.
func (n *Node) sendMail(ctx context.Context, r *replica, term uint64) {
	if n.outbound == nil {
		return
	}
	runner.New(runner.Config{
		Group: r.ID(), Node: n.id, Hostname: n.cfg.SMTP.Hostname, Proposer: n.router, Store: queueStore{n.store},
		Snapshot: func() (kv.Snapshot, error) { return r.Snapshot(), nil },
		Sender:   sender{n}, Lanes: n.outbound.lanes, Wake: r.queue.Watch, NewID: mailstore.RandomID, ReportID: smtpd.RandomID, Logger: n.log,
	}).Run(ctx, term)
}

// queueStore is the mail store as the queue's workers need it.
type queueStore struct{ *mailstore.Store }

func (s queueStore) NewReport(ctx context.Context, a index.AccountID, trace []byte) runner.Incoming {
	return s.NewIncoming(ctx, []index.AccountID{a}, trace)
}

// sender delivers to mailboxes here, where a recipient of the queue is one, and to other hosts.
type sender struct{ n *Node }

func (s sender) Deliver(ctx context.Context, job remote.Job) []remote.Result {
	err := s.n.view(func(v directory.View) error {
		_, err := v.Domain(job.Destination)
		return err
	})
	if errors.Is(err, directory.ErrNoDomain) {
		return s.n.outbound.client.Deliver(ctx, job)
	}
	results := make([]remote.Result, len(job.Recipients))
	for i, to := range job.Recipients {
		results[i] = s.local(ctx, job, to)
	}
	return results
}

// local delivers to the accounts behind one recipient.
func (s sender) local(ctx context.Context, job remote.Job, to mta.Recipient) remote.Result {
	fail := func(kind remote.Kind, status mta.Enhanced, err error) remote.Result {
		return remote.Result{Kind: kind, Reached: true, Local: true, Reply: *mta.Replyf(0, status, "%v", err)}
	}
	var who directory.Resolution
	err := s.n.view(func(v directory.View) (err error) {
		who, err = v.Resolve(to.Address)
		return err
	})
	switch {
	case errors.Is(err, directory.ErrNoUser), errors.Is(err, directory.ErrInvalid):
		return fail(remote.Permanent, mta.BadMailbox, err)
	case err != nil:
		return fail(remote.Temporary, mta.TempSystem, err)
	}
	var accounts []index.AccountID
	var targets []mailstore.Target
	for _, t := range who.Accounts {
		accounts = append(accounts, t.Account.ID)
		targets = append(targets, mailstore.Target{Account: t.Account.ID, Address: to.Address})
	}
	if len(targets) == 0 {
		return fail(remote.Permanent, mta.BadMailbox, fmt.Errorf("nobody is behind <%s>", to.Address))
	}
	if err := s.keep(ctx, job, accounts, targets); err != nil {
		if errors.Is(err, index.ErrOverQuota) {
			return fail(remote.Temporary, mta.TempMailboxFull, err)
		}
		return fail(remote.Temporary, mta.TempSystem, err)
	}
	return remote.Result{Kind: remote.Delivered, Reached: true, Local: true, Reply: *mta.Replyf(250, mta.OK, "Delivered")}
}

func (s sender) keep(ctx context.Context, job remote.Job, accounts []index.AccountID, targets []mailstore.Target) error {
	in := s.n.store.NewIncoming(ctx, accounts, mta.ReturnPath(job.Envelope.From))
	defer in.Discard()
	text, err := job.Open()
	if err != nil {
		return err
	}
	defer text.Close()
	if _, err := io.Copy(in, text); err != nil {
		return err
	}
	outcomes, err := in.Deliver(ctx, mailstore.Delivery{Targets: targets})
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	return err
}

// queueDoor is the queue as the SMTP door sees it.
func (n *Node) queueDoor() smtpd.Queue {
	if n.outbound == nil {
		return nil
	}
	return queueDoor{n}
}

type queueDoor struct{ n *Node }

func (d queueDoor) Refuses() *mta.Reply {
	if d.n.level() < command.LevelThird {
		return mta.Replyf(450, mta.TempSystem, "Mail to other domains is sent once every node of the cluster runs this version")
	}
	return nil
}

func (d queueDoor) Entry(s queue.Submission) *mailstore.Also {
	now := time.Now()
	s.Expires, s.Notice = now.Add(queueLife), now.Add(tellsAfter)
	return s.Also()
}
