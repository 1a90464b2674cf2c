package node

import (
	"fmt"

	mdns "github.com/miekg/dns"

	"github.com/rookery-mail/rookery/cmd/internal/config"
	"github.com/rookery-mail/rookery/mta/dns"
)

// openResolver makes ready to ask DNS. A node that sends needs servers for it; one that does not goes on without, and what is asked
// has no answer for now.
func (n *Node) openResolver() error {
	servers, err := resolvers(n.cfg.Outbound.Resolvers)
	if err != nil && n.cfg.Outbound.Enabled {
		return err
	}
	if err != nil {
		n.log.Warn("DNS cannot be asked", "error", err)
	}
	n.resolver = dns.New(dns.Config{Servers: servers, Validated: n.cfg.Outbound.DNSSEC})
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
