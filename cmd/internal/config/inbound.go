package config

import (
	"fmt"
	"net/netip"
)

// Inbound is how this node looks at mail that comes in.
type Inbound struct {
	// Enabled has it checked, sorted and explained; without it all that is well-formed and has a recipient goes to INBOX.
	Enabled bool `toml:"enabled"`
	// ProxyNetworks are those of proxies and relays that may say for whom they connect, by the PROXY protocol or XCLIENT.
	ProxyNetworks []string `toml:"proxy_networks"`
}

func (i Inbound) check() error {
	for _, text := range i.ProxyNetworks {
		if _, err := netip.ParsePrefix(text); err != nil {
			return fmt.Errorf("inbound.proxy_networks: %q: use a network such as 192.0.2.0/24", text)
		}
	}
	return nil
}
