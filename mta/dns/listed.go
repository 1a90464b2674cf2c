package dns

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// Listed are the IPv4 addresses that a name has, which is how lists of addresses answer (RFC 5782, section 2.1). A name that is not
// listed is ErrNoName or ErrNoRecord.
func (r *Resolver) Listed(ctx context.Context, name string) ([]netip.Addr, error) {
	a, err := r.ask(ctx, name, dns.TypeA)
	if err != nil {
		return nil, fmt.Errorf("look %s up in a list: %w", name, err)
	}
	var list []netip.Addr
	for _, rr := range a.records {
		if a, ok := rr.(*dns.A); ok && len(list) < MaxAddresses {
			if addr, ok := netip.AddrFromSlice(a.A.To4()); ok {
				list = append(list, addr)
			}
		}
	}
	return list, nil
}
