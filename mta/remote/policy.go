package remote

import (
	"context"

	"github.com/rookery-mail/rookery/mta/dns"
)

// Level is what TLS must give before a message is sent.
type Level int

// The levels.
const (
	Opportunistic Level = iota // TLS where it is offered, with any certificate (RFC 7435)
	Encrypted                  // TLS with any certificate
	Verified                   // TLS with a certificate for the host
)

// Policies says what the hosts of a domain must show. An error puts the message off.
type Policies interface {
	For(ctx context.Context, domain string, mx dns.Mail) (Policy, error)
}

// Policy is what the hosts of a domain must show.
type Policy struct {
	Level Level
	Names []string // patterns of hosts and certificates that are right; none: the host's own name
}
