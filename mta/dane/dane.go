// Package dane decides whether a host's certificates are those that its TLSA records name (RFC 6698, with what RFC 7671 and
// RFC 7672 say for SMTP). It asks no DNS: the records come in, and only such as DNSSEC vouches for may.
package dane

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Usage says what a record's certificate is to the host's (RFC 6698, section 2.1.1).
type Usage uint8

// The usages.
const (
	PKIXTA Usage = iota // not for SMTP (RFC 7672, section 3.1.3)
	PKIXEE              // not for SMTP
	TA                  // an authority in the host's chain
	EE                  // the host's own
)

// String gives the acronym of RFC 7218, section 2.1.
func (u Usage) String() string {
	switch u {
	case PKIXTA:
		return "PKIX-TA"
	case PKIXEE:
		return "PKIX-EE"
	case TA:
		return "DANE-TA"
	case EE:
		return "DANE-EE"
	}
	return fmt.Sprintf("usage %d", uint8(u))
}

// Selector says which part of a certificate is compared (RFC 6698, section 2.1.2).
type Selector uint8

// The selectors.
const (
	Cert Selector = iota // all of it
	SPKI                 // its public key
)

// Matching says how it is compared (RFC 6698, section 2.1.3).
type Matching uint8

// The matching types.
const (
	Full Matching = iota
	SHA256
	SHA512
)

// Record is a TLSA record. Its numbers may be such as are not known.
type Record struct {
	Usage    Usage
	Selector Selector
	Matching Matching
	Data     []byte
}

// String gives the record's data in the form of a zone file.
func (r Record) String() string {
	return fmt.Sprintf("%d %d %d %s", r.Usage, r.Selector, r.Matching, hex.EncodeToString(r.Data))
}

// usable reports whether a record can match anything in SMTP.
func (r Record) usable() bool {
	if r.Usage != TA && r.Usage != EE || r.Selector > SPKI {
		return false
	}
	switch r.Matching {
	case SHA256:
		return len(r.Data) == sha256.Size
	case SHA512:
		return len(r.Data) == sha512.Size
	case Full:
		var err error
		if r.Selector == Cert {
			_, err = x509.ParseCertificate(r.Data)
		} else {
			_, err = x509.ParsePKIXPublicKey(r.Data)
		}
		return err == nil
	}
	return false
}

// Usable gives the records that a host's certificates may be held against: not those whose usage, selector or matching type SMTP
// does not know (RFC 7672, section 3.1), not those that are malformed, and of the digests over one selector for one usage
// the strongest (RFC 7671, section 9). Where it gives none of several, TLS is needed, of whomever (RFC 7672, section 2.2).
func Usable(list []Record) []Record {
	type parts struct {
		Usage
		Selector
	}
	strongest := map[parts]Matching{}
	for _, r := range list {
		if p := (parts{r.Usage, r.Selector}); r.usable() {
			strongest[p] = max(strongest[p], r.Matching)
		}
	}
	var out []Record
	for _, r := range list {
		if r.usable() && (r.Matching == Full || r.Matching == strongest[parts{r.Usage, r.Selector}]) {
			out = append(out, r)
		}
	}
	return out
}

// matches reports whether a certificate is the one that the record names.
func (r Record) matches(c *x509.Certificate) bool {
	data := c.Raw
	if r.Selector == SPKI {
		data = c.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case SHA256:
		sum := sha256.Sum256(data)
		data = sum[:]
	case SHA512:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return bytes.Equal(data, r.Data)
}

// ErrNoMatch says that no record names a certificate that the host has shown.
var ErrNoMatch = errors.New("no TLSA record names its certificate")

// Verify holds the certificates that a host has shown, its own first, against records that are Usable. It gives the usage of the one that
// holds. DANE-EE asks for nothing but the match (RFC 7672, section 3.1.1); DANE-TA for a chain that holds at now, and for one
// of names in the host's certificate (section 3.2.2). Errors are ErrNoMatch and those of crypto/x509.
func Verify(records []Record, chain []*x509.Certificate, names []string, now time.Time) (Usage, error) {
	if len(chain) == 0 {
		return 0, ErrNoMatch
	}
	for _, r := range records {
		if r.Usage == EE && r.matches(chain[0]) {
			return EE, nil
		}
	}
	anchors := x509.NewCertPool()
	some := false
	for _, r := range records {
		if r.Usage != TA {
			continue
		}
		if r.Matching == Full && r.Selector == Cert {
			if c, err := x509.ParseCertificate(r.Data); err == nil {
				anchors.AddCert(c) // it need not be sent
				some = true
			}
		}
		for _, c := range chain[1:] {
			if r.matches(c) {
				anchors.AddCert(c)
				some = true
			}
		}
	}
	if !some {
		return 0, ErrNoMatch
	}
	return TA, verifyChain(chain, anchors, names, now)
}

func verifyChain(chain []*x509.Certificate, anchors *x509.CertPool, names []string, now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: anchors, Intermediates: between, CurrentTime: now}); err != nil {
		return err
	}
	var err error
	for _, n := range names {
		wrong := chain[0].VerifyHostname(n)
		if wrong == nil {
			return nil
		}
		if err == nil {
			err = wrong
		}
	}
	if err == nil {
		err = errors.New("there is no name that the certificate could be for")
	}
	return err
}
