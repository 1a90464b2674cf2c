package remote

import (
	"context"

	"github.com/rookery-mail/rookery/mta/mtasts"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Level is what TLS must give before a message is sent.
type Level = tlspolicy.Level

// The levels.
const (
	Opportunistic = tlspolicy.Opportunistic
	Encrypted     = tlspolicy.Encrypted
	Verified      = tlspolicy.Verified
)

// Policies says what the hosts of a domain must show, beyond what their TLSA records say.
type Policies interface {
	// Rule is what the operator asks for of a domain; the zero Rule: nothing. An error puts the message off.
	Rule(ctx context.Context, domain string) (tlspolicy.Rule, error)
	// STS finds a domain's MTA-STS policy. An error puts the message off.
	STS(ctx context.Context, domain string) (STS, error)
}

// STS is what is known of a domain's MTA-STS policy.
type STS struct {
	Policy *mtasts.Policy // nil: there is none
	Text   []string       // of Policy, line by line
	// Failure says that the policy which the domain has now could not be had, or was none: Policy is the one before, or nil.
	Failure tlsrpt.Failure
	Detail  string
	// Unknown says why nobody knows whether the domain has a policy: DNS does not answer, and none was kept. It counts as none, as
	// an answer that denied it would (RFC 8461, section 10.2), but not for what REQUIRETLS needs.
	Unknown error
}
