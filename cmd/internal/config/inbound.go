package config

import (
	"fmt"
	"net/netip"
)

// Inbound is how this node looks at mail that comes in.
type Inbound struct {
	// Enabled has it checked, sorted and explained; without it all that is well-formed and has a recipient goes to INBOX.
	Enabled bool `toml:"enabled"`
	// ProxyNetworks are those of proxies: each connection from there begins with a header of the PROXY protocol.
	ProxyNetworks []string `toml:"proxy_networks"`
	// XCLIENTNetworks are those of relays that may say by XCLIENT for whom they connect.
	XCLIENTNetworks []string `toml:"xclient_networks"`
}

func (i Inbound) check() error {
	if _, err := networks("inbound.proxy_networks", i.ProxyNetworks); err != nil {
		return err
	}
	_, err := networks("inbound.xclient_networks", i.XCLIENTNetworks)
	return err
}

// Proxies are ProxyNetworks and XCLIENTNetworks, of a configuration that was checked.
func (i Inbound) Proxies() (proxies, xclient []netip.Prefix) {
	proxies, _ = networks("", i.ProxyNetworks)
	xclient, _ = networks("", i.XCLIENTNetworks)
	return proxies, xclient
}

func networks(field string, list []string) (out []netip.Prefix, err error) {
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: use a network such as 192.0.2.0/24", field, text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
