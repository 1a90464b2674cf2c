package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// Security is how a connection is protected.
type Security int

// The ways of TLS. A bench does not check certificates: it measures servers on loopback that signed their own.
const (
	Plain    Security = iota // none
	StartTLS                 // after the greeting
	TLS                      // from the first octet
)

// Login is an account.
type Login struct {
	Address  string
	Password string
}

// Door is where and how to speak to a server.
type Door struct {
	Address  string // host:port
	Security Security
	LMTP     bool   // LHLO in place of EHLO, and a reply for each recipient (RFC 2033)
	From     string // the client's own IP address; "" is what the system takes
}

// dial opens the connection, with TLS where that comes first.
func dial(ctx context.Context, door Door) (net.Conn, error) {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if door.From != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(door.From)}
	}
	if door.Security == TLS {
		conn, err := (&tls.Dialer{NetDialer: d, Config: clientTLS()}).DialContext(ctx, "tcp", door.Address)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", door.Address, err)
		}
		return conn, nil
	}
	conn, err := d.DialContext(ctx, "tcp", door.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", door.Address, err)
	}
	return conn, nil
}

// clientTLS trusts everybody: see Security.
func clientTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
