package remote

import (
	"net/netip"

	"github.com/rookery-mail/rookery/cluster"
)

// Hop takes mail in the place of a domain's own hosts: a smart host.
type Hop struct {
	Route    string   // whose it is, for logs
	Hosts    []string // host or host:port, in the order in which they are tried
	Username string   // for AUTH; empty: none
	Password string
	Level    Level // what TLS must give
}

// Source is where mail goes out. The zero Source is this node, by whatever address the system picks.
type Source struct {
	Node    cluster.NodeID // that has the address; empty: this one
	Address netip.Addr     // not valid: any
	Hello   string         // in EHLO; empty: Config.Hostname
}
