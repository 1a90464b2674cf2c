package node

import (
	"context"
	"fmt"

	mdns "github.com/miekg/dns"

	"github.com/rookery-mail/rookery/cmd/internal/config"
	"github.com/rookery-mail/rookery/mta/dispatch"
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
	routes   *dispatch.Dispatcher
	lanes    *shaping.Sites
	policy   *queuePolicy
	policies *tlsPolicies
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
	resolver := dns.New(dns.Config{Servers: servers, Validated: o.DNSSEC})
	n.outbound = &outbound{resolver: resolver, policy: &queuePolicy{n: n}, policies: n.newTLSPolicies(resolver)}
	n.outbound.client = remote.New(remote.Config{Resolver: resolver, Hostname: n.cfg.SMTP.Hostname, Dial: n.dialOut, Own: n.ownHost,
		Policies: n.outbound.policies, Observe: n.tlsReports.observe})
	n.outbound.signing = n.newSigning(n.outbound.client, resolver)
	n.openRoutes(resolver, n.outbound.signing)
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
