package node

import (
	"context"

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
	if !n.cfg.Outbound.Enabled {
		return nil
	}
	resolver := n.resolver
	n.outbound = &outbound{resolver: resolver, policy: &queuePolicy{n: n}, policies: n.newTLSPolicies(resolver)}
	n.outbound.client = remote.New(remote.Config{Resolver: resolver, Hostname: n.cfg.SMTP.Hostname, Dial: n.dialOut, Own: n.ownHost,
		Policies: n.outbound.policies, Observe: n.tlsReports.observe})
	n.outbound.signing = n.newSigning(n.outbound.client, resolver)
	n.openRoutes(resolver, n.outbound.signing)
	n.onStop("connections to other hosts", func(context.Context) error { n.outbound.client.Close(); return nil })
	return nil
}
