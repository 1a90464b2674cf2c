// Package tlsrpt is SMTP TLS Reporting (RFC 8460): what was met when hosts were spoken to over TLS. It opens no
// connections and sends nothing.
package tlsrpt

// Type is the kind of policy that a connection was made under (RFC 8460, section 4.4).
type Type string

// The kinds of policies.
const (
	NoPolicy Type = "no-policy-found"
	STS      Type = "sts"
	TLSA     Type = "tlsa"
)

// Failure is why TLS did not hold (RFC 8460, section 4.3); empty for success.
type Failure string

// The failures that RFC 8460, section 4.3, names.
const (
	STARTTLSNotSupported    Failure = "starttls-not-supported"
	CertificateHostMismatch Failure = "certificate-host-mismatch"
	CertificateExpired      Failure = "certificate-expired"
	CertificateNotTrusted   Failure = "certificate-not-trusted"
	ValidationFailure       Failure = "validation-failure"
	TLSAInvalid             Failure = "tlsa-invalid"
	DNSSECInvalid           Failure = "dnssec-invalid"
	DANERequired            Failure = "dane-required"
	STSPolicyFetchError     Failure = "sts-policy-fetch-error"
	STSPolicyInvalid        Failure = "sts-policy-invalid"
	STSWebPKIInvalid        Failure = "sts-webpki-invalid"
)

// Event is one session with a host of a domain, or a policy that could not be had.
type Event struct {
	Domain    string   // whose mail it is: A-labels, lower case
	Type      Type     // of the policy
	Policy    []string // its text, line by line: of STS, or the TLSA records
	Hosts     []string // the patterns of an STS policy's mx
	Failure   Failure
	Host      string // of the domain; empty where none was spoken to
	HostName  string // as it greeted
	Sending   string // our address
	Receiving string // the host's
	Text      string // more about a failure
}
