package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Outbound is how this node sends mail to other domains. Nodes of a cluster say the same, since the leader of a
// partition sends what its accounts submit.
type Outbound struct {
	// Enabled lets users send to other domains.
	Enabled bool `toml:"enabled"`
	// Relay takes all of it, as host:port; empty: the hosts of each domain, on port 25.
	Relay string `toml:"relay"`
	// Resolvers are asked about domains, as host:port or address; empty: those of /etc/resolv.conf.
	Resolvers []string `toml:"resolvers"`
	// DNSSEC says that the resolvers validate it, and that nobody can change what they answer on the way.
	DNSSEC bool `toml:"dnssec"`
}

func (o Outbound) check() error {
	if o.Relay != "" {
		host, port, err := net.SplitHostPort(o.Relay)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" {
			return fmt.Errorf("outbound.relay = %q: use host:port", o.Relay)
		}
	}
	for _, r := range o.Resolvers {
		if _, err := ResolverAddress(r); err != nil {
			return err
		}
	}
	return nil
}

// ResolverAddress gives a resolver as address:port, with 53 where no port is named.
func ResolverAddress(text string) (string, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(a, 53).String(), nil
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a.String(), nil
	}
	return "", fmt.Errorf("outbound.resolvers: %q: use an address, or address:port", text)
}
