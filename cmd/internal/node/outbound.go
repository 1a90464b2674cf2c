package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/rookery-mail/rookery/cmd/internal/config"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/shaping"
	"github.com/rookery-mail/rookery/mta/signing"
)

// outbound is what the workers of all partitions share.
type outbound struct {
	client   *remote.Client
	resolver *dns.Resolver
	signing  *signing.Link
	lanes    *shaping.Sites
	policy   *queuePolicy
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
	resolver := dns.New(dns.Config{Servers: servers})
	c := remote.Config{Resolver: resolver, Hostname: n.cfg.SMTP.Hostname,
		Own: n.ownHost, Observe: n.tlsReports.observe}
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
		c.Observe = nil // its TLS is no business of the domains
	}
	n.outbound = &outbound{client: remote.New(c), resolver: resolver, lanes: shaping.New(shaping.Config{Clock: time.Now}), policy: &queuePolicy{n: n}}
	n.outbound.signing = n.newSigning(n.outbound.client, resolver)
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
