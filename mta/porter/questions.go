package porter

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/policy"
)

// maxNames is how many names of an address are followed back (RFC 7208, section 5.5 has the same bound).
const maxNames = 10

// state is how an answer came out.
func state(err error) policy.Knowledge {
	switch {
	case err == nil:
		return policy.Known
	case errors.Is(err, dns.ErrNoName), errors.Is(err, dns.ErrNoRecord):
		return policy.Missing
	}
	return policy.Unclear
}

// reverse asks for the names of an address and whether one leads back.
func (p *Porter) reverse(ctx context.Context, addr netip.Addr) policy.Reverse {
	names, err := p.c.Resolver.Names(ctx, addr)
	names = slices.DeleteFunc(names, func(n string) bool { return n == "" })
	r := policy.Reverse{State: state(err), Names: names[:min(len(names), maxNames)]}
	leads := make([]bool, len(r.Names))
	errs := make([]error, len(r.Names))
	var asking sync.WaitGroup
	for i, name := range r.Names {
		asking.Go(func() {
			var list []netip.Addr
			list, errs[i] = p.addresses(ctx, name)
			leads[i] = slices.Contains(list, addr)
		})
	}
	asking.Wait()
	for i, name := range r.Names {
		if leads[i] {
			r.Confirmed = name
			return r
		}
		if state(errs[i]) == policy.Unclear {
			r.State = policy.Unclear
		}
	}
	return r
}

func (p *Porter) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	a, err := p.c.Resolver.Addresses(ctx, host)
	return append(a.V4, a.V6...), err
}

// hello asks what a greeting leads to. One that is not a name of a host is not asked for.
func (p *Porter) hello(ctx context.Context, name string) (policy.Knowledge, []netip.Addr) {
	if _, literal := policy.Literal(name); literal || !strings.Contains(strings.TrimSuffix(name, "."), ".") {
		return policy.Known, nil
	}
	list, err := p.addresses(ctx, name)
	return state(err), list
}

// sender asks whether a domain takes mail: by a host for mail, or by an address of its own (RFC 5321, section 5.1).
func (p *Porter) sender(ctx context.Context, domain string) policy.Sender {
	m, err := p.c.Resolver.MX(ctx, domain)
	s := policy.Sender{Domain: domain, State: state(err), Null: m.Null}
	if err == nil && m.Implicit {
		_, err = p.addresses(ctx, domain)
		s.State = state(err)
	}
	return s
}
