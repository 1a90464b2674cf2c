package tlspolicy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dane"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// The enhanced codes of what is not met (RFC 3463, section 3.8; RFC 8689, section 4.2.1).
const (
	tlsMissing mta.Enhanced = "4.7.4"
	tlsWrong   mta.Enhanced = "4.7.5"
	required   mta.Enhanced = "5.7.30"
	noTLS      mta.Enhanced = "5.7.10"
)

// Lack is what a host does not have.
type Lack int

// The lacks.
const (
	NoSTARTTLS     Lack = iota + 1 // it is not offered, or refused
	NoHandshake                    // it fails
	Broken                         // the connection ends in it
	WrongCert                      // a certificate that does not do
	NotListed                      // the policy names other hosts
	NoVoucher                      // neither DNSSEC nor MTA-STS says that the host is the domain's
	NoRequireTLS                   // the extension
	NotYetResolved                 // DNSSEC gives no answer about its certificates
)

// Refusal is why a host gets no message.
type Refusal struct {
	Need  Need
	Lack  Lack
	Cause error
}

// Error says which policy asks for what, and what there is.
func (r *Refusal) Error() string {
	what := "TLS"
	if r.Need.Level == Verified {
		what = "authenticated TLS"
	}
	return fmt.Sprintf("%s asks for %s with %s: %s", r.Need.By, what, r.Need.Host, r.reason())
}

func (r *Refusal) reason() string {
	text := [...]string{NoSTARTTLS: "it offers none", NoHandshake: "it fails", Broken: "the connection broke", WrongCert: "its certificate does not hold",
		NotListed: "the policy does not name the host", NoVoucher: "neither DNSSEC nor MTA-STS vouches for its being a host of the domain",
		NoRequireTLS: "it does not support REQUIRETLS", NotYetResolved: "its TLSA records cannot be looked up"}[r.Lack]
	if r.Cause != nil {
		text += ": " + r.Cause.Error()
	}
	return text
}

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Status is the enhanced code. A message with REQUIRETLS is not tried again (RFC 8689, section 4.2.1); what else stops
// one may be mended by who runs the host.
func (r *Refusal) Status() mta.Enhanced {
	switch {
	case r.Lack == NoRequireTLS:
		return required
	case r.Need.Extension && !r.passing():
		return noTLS
	case r.Lack == NoSTARTTLS:
		return tlsMissing
	}
	return tlsWrong
}

// passing reports whether the lack is one that goes by itself.
func (r *Refusal) passing() bool {
	var reply *mta.Reply
	return r.Lack == NotYetResolved || r.Lack == Broken || errors.As(r.Cause, &reply) && reply.Temporary()
}

// Failure is the word of reports for it (RFC 8460, section 4.3).
func (r *Refusal) Failure() tlsrpt.Failure {
	switch r.Lack {
	case NoSTARTTLS:
		return tlsrpt.STARTTLSNotSupported
	case WrongCert:
		return failureOf(r.Cause)
	case NotYetResolved:
		return tlsrpt.DNSSECInvalid
	}
	return tlsrpt.ValidationFailure
}

// failureOf is the word for an error of a certificate.
func failureOf(err error) tlsrpt.Failure {
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &name):
		return tlsrpt.CertificateHostMismatch
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return tlsrpt.CertificateExpired
	case errors.As(err, &authority), errors.Is(err, dane.ErrNoMatch):
		return tlsrpt.CertificateNotTrusted
	}
	return tlsrpt.ValidationFailure
}

// Verdict is what the certificates of a host that may get the message are worth.
type Verdict struct {
	Text    string         // how the host was authenticated
	Failure tlsrpt.Failure // of a policy that is Watched, or of records that cannot be used
	Detail  string         // more about Failure
}

// Judge holds the certificates that a host has shown, its own first, against what is needed of it. What does not hold is a *Refusal.
// Authorities that are trusted are in roots; nil is those of the system.
func (n Need) Judge(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) (Verdict, error) {
	v := Verdict{Text: "not authenticated"}
	if n.Unusable {
		v.Failure, v.Detail = tlsrpt.TLSAInvalid, "no TLSA record can be used for SMTP"
	}
	if len(n.Records) > 0 {
		usage, err := dane.Verify(n.Records, chain, n.Bases, now)
		if err != nil {
			n.By = ByDANE
			return v, &Refusal{n, WrongCert, err}
		}
		v.Text = "verified by " + usage.String()
	}
	if n.WebPKI {
		err := webPKI(chain, n.Names, roots, now)
		if err == nil && n.Own {
			err = chain[0].VerifyHostname(n.Host)
		}
		if err != nil {
			return v, &Refusal{n, WrongCert, err}
		}
		if len(n.Records) == 0 {
			v.Text = "verified by an authority for " + n.By.within()
		}
	}
	if n.Watched && v.Failure == "" {
		if err := webPKI(chain, []string{n.Host}, roots, now); err != nil {
			v.Failure, v.Detail = failureOf(err), err.Error()
		} else if n.Outside {
			v.Failure, v.Detail = tlsrpt.ValidationFailure, "the policy does not name the host"
		}
	}
	return v, nil
}

// within is a basis within a sentence.
func (b Basis) within() string {
	switch b {
	case ByRule:
		return "a rule of ours"
	case ByRoute:
		return "the route"
	}
	return string(b)
}

// webPKI holds certificates against the authorities that are trusted, for one of names.
func webPKI(chain []*x509.Certificate, names []string, roots *x509.CertPool, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("it shows no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now}); err != nil {
		return err
	}
	for _, name := range names {
		if parent, ok := strings.CutPrefix(name, "."); ok {
			for _, has := range chain[0].DNSNames {
				if strings.HasSuffix(strings.ToLower(has), "."+parent) {
					return nil
				}
			}
		} else if chain[0].VerifyHostname(name) == nil {
			return nil
		}
	}
	if len(names) == 1 && !strings.HasPrefix(names[0], ".") {
		return chain[0].VerifyHostname(names[0])
	}
	return x509.HostnameError{Certificate: chain[0], Host: strings.Join(names, " or ")}
}
