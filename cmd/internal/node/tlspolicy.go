package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/mtasts"
	"github.com/rookery-mail/rookery/mta/mtasts/cache"
	"github.com/rookery-mail/rookery/mta/mtasts/fetch"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
)

// tlsPolicies says what hosts must show: rules of the directory, and MTA-STS policies that the cluster keeps.
type tlsPolicies struct {
	n   *Node
	sts *cache.Cache
}

var _ remote.Policies = (*tlsPolicies)(nil)

// newTLSPolicies makes those of this node.
func (n *Node) newTLSPolicies(r *dns.Resolver) *tlsPolicies {
	return &tlsPolicies{n, cache.New(cache.Config{Resolver: r, Fetcher: fetch.New(fetch.Config{Resolver: r}), Store: stsStore{n.view, n.change, n.level}, Logger: n.log})}
}

// Rule implements remote.Policies.
func (p *tlsPolicies) Rule(_ context.Context, domain string) (r tlspolicy.Rule, err error) {
	name, err := address.ParseDomain(domain)
	if err != nil {
		return r, nil // an address of a host: rules are for domains
	}
	err = p.n.view(func(v directory.View) (err error) {
		r, err = ruleFor(v, name)
		return err
	})
	return r, err
}

// STS implements remote.Policies.
func (p *tlsPolicies) STS(ctx context.Context, domain string) (remote.STS, error) {
	name, err := address.ParseDomain(domain)
	if err != nil {
		return remote.STS{}, nil // an address has no policy
	}
	return p.sts.STS(ctx, name)
}

// How often the directory's leader has MTA-STS policies refreshed, and how long after it began to lead for the first time.
const (
	refreshPoliciesEvery = time.Hour
	refreshPoliciesFirst = 2 * time.Minute
)

// refreshPolicies is leader work of the directory: MTA-STS policies are fetched again before they expire.
func (n *Node) refreshPolicies(ctx context.Context) {
	if n.outbound == nil {
		return
	}
	timer := time.NewTimer(refreshPoliciesFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		n.checkDNSSEC(ctx)
		fetched, err := n.outbound.policies.sts.Refresh(ctx)
		if err != nil && ctx.Err() == nil {
			n.log.Warn("MTA-STS policies could not be refreshed", "error", err)
		} else if fetched > 0 {
			n.log.Info("MTA-STS policies were refreshed", "policies", fetched)
		}
		timer.Reset(refreshPoliciesEvery)
	}
}

// signed is a domain that has been signed for long, and has no mail of its own.
const signed = "org"

// checkDNSSEC warns where the configuration says that the resolvers validate, and they do not: DANE would be off, and nobody knew.
func (n *Node) checkDNSSEC(ctx context.Context) {
	if !n.cfg.Outbound.DNSSEC {
		return
	}
	if mail, err := n.outbound.resolver.MX(ctx, signed); err == nil && !mail.Secure {
		n.log.Warn("outbound.dnssec is set, but the resolvers vouch for nothing: no host is held to its TLSA records", "domain", signed)
	}
}

// stsStore keeps MTA-STS policies in the directory.
type stsStore struct {
	view   func(func(directory.View) error) error
	change func(context.Context, command.Command, error) error
	level  func() command.Level
}

var _ cache.Store = stsStore{}

// maxKeptPolicy is how large a policy may be, in octets, that goes to all nodes; usual ones have some hundred.
const maxKeptPolicy = 8 << 10

// Load implements cache.Store.
func (s stsStore) Load(domain string) (k mtasts.Kept, version uint64, err error) {
	err = s.view(func(v directory.View) error {
		m, err := v.MailRecord(directory.MailSTSPolicy, domain)
		if errors.Is(err, directory.ErrNotFound) {
			return nil
		}
		if err == nil {
			k, version = keptPolicy(m.GetStsPolicy()), m.Version
		}
		return err
	})
	return k, version, err
}

// Save implements cache.Store.
func (s stsStore) Save(ctx context.Context, domain string, k mtasts.Kept, version uint64) error {
	if s.level() < command.LevelThird {
		return errors.New("not every node of the cluster runs this version")
	}
	if len(k.Text) > maxKeptPolicy {
		return fmt.Errorf("it has %d octets; %d are kept", len(k.Text), maxKeptPolicy)
	}
	return s.put(ctx, directory.MailChange{Expected: &version, Record: &directorypb.MailRecord{Name: domain,
		Record: &directorypb.MailRecord_StsPolicy{StsPolicy: &directorypb.StsPolicy{Id: k.ID, Policy: k.Text,
			Fetched: k.Fetched.UnixMilli(), Expires: k.Expires().UnixMilli(), Used: k.Used.UnixMilli()}}}})
}

// Remove implements cache.Store.
func (s stsStore) Remove(ctx context.Context, domain string, version uint64) error {
	return s.put(ctx, directory.MailChange{Expected: &version, Remove: true, Record: &directorypb.MailRecord{Name: domain,
		Record: &directorypb.MailRecord_StsPolicy{StsPolicy: &directorypb.StsPolicy{}}}})
}

func (s stsStore) put(ctx context.Context, change directory.MailChange) error {
	c, err := directory.PutMail(change)
	if err = s.change(ctx, c, err); errors.Is(err, directory.ErrConflict) {
		return nil // another node was faster
	}
	return err
}

// Each implements cache.Store.
func (s stsStore) Each(fn func(string, mtasts.Kept, uint64) error) error {
	return s.view(func(v directory.View) error {
		return v.EachMailRecord(directory.MailSTSPolicy, "", func(m *directorypb.MailRecord) error {
			return fn(m.Name, keptPolicy(m.GetStsPolicy()), m.Version)
		})
	})
}

// keptPolicy reads a policy as it is kept. One that this version does not understand counts as none.
func keptPolicy(m *directorypb.StsPolicy) mtasts.Kept {
	k, err := mtasts.Keep(m.GetId(), m.GetPolicy(), time.UnixMilli(m.GetFetched()))
	if err != nil {
		return mtasts.Kept{}
	}
	k.Used = time.UnixMilli(m.GetUsed())
	return k
}
