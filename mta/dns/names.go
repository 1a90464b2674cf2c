package dns

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// Names are those that an address is said to have (PTR).
func (r *Resolver) Names(ctx context.Context, address netip.Addr) ([]string, error) {
	name, err := dns.ReverseAddr(address.Unmap().String())
	if err != nil {
		return nil, fmt.Errorf("look up names of %s: %w", address, err)
	}
	a, err := r.ask(ctx, name, dns.TypePTR)
	if err != nil {
		return nil, fmt.Errorf("look up names of %s: %w", address, err)
	}
	var names []string
	for _, rr := range a.records {
		if p, ok := rr.(*dns.PTR); ok {
			names = append(names, canonical(p.Ptr))
		}
	}
	return names, nil
}

// Service is where one is offered (RFC 2782).
type Service struct {
	Priority, Weight, Port uint16
	Host                   string
}

// Services finds where a service is offered: a name such as _imaps._tcp.example.org.
func (r *Resolver) Services(ctx context.Context, name string) ([]Service, error) {
	a, err := r.ask(ctx, name, dns.TypeSRV)
	if err != nil {
		return nil, fmt.Errorf("look up the service %s: %w", name, err)
	}
	var list []Service
	for _, rr := range a.records {
		if s, ok := rr.(*dns.SRV); ok {
			list = append(list, Service{s.Priority, s.Weight, s.Port, canonical(s.Target)})
		}
	}
	return list, nil
}
