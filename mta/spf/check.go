package spf

import "context"

// Check is check_host() (RFC 7208, section 4) for one identity.
func Check(_ context.Context, q Query, _ Resolver) Outcome {
	return Outcome{Result: TempError, Identity: MailFrom, Problem: "SPF is not checked yet"}
}
