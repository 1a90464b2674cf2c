package node

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/rookery-mail/rookery/mta/authn"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// openInbound makes ready for messages that wait for a verdict.
func (n *Node) openInbound() error {
	if err := os.MkdirAll(n.layout.spool(), 0o700); err != nil {
		return fmt.Errorf("make the directory of messages that wait: %w", err)
	}
	n.filters = newFilters(n)
	n.openScripts()
	return nil
}

// checks are what is asked about mail that comes in; nil where it is not looked at. They work until life ends.
func (n *Node) checks(life context.Context) smtpd.Checks {
	if !n.cfg.Inbound.Enabled {
		return nil
	}
	n.refusals = newRefusals(n)
	n.telling.Go(func() { n.refusals.run(life) })
	n.counters.inbound = newInboundCounters(n)
	return &inboundChecks{n: n, parts: n.inboundParts()}
}

// inboundParts makes the parts that look at mail.
func (n *Node) inboundParts() inboundParts {
	parts := inboundParts{authn: authn.New(authn.Config{Resolver: dns.Lists{Resolver: n.resolver}, Kept: dns.Lists{Resolver: n.resolver}.Kept(), Hostname: n.cfg.SMTP.Hostname, Trusted: n.trustedSealers}),
		filters: n.filters, classifier: n.spam, sorter: n.scripts}
	if p := n.porters.Load(); p != nil {
		parts.porter = p.Porter
	}
	return parts
}

// trustedSealers are the domains of the setting arc_trusted.
func (n *Node) trustedSealers() []string {
	rules, err := n.clusterRules()
	if err != nil {
		return nil // nobody is trusted whom the directory does not name
	}
	return strings.Fields(rules.settings.ARCTrusted)
}
