package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// ErrSignature says that a signature is not that of its key.
var ErrSignature = errors.New("the signature does not match")

// What may be wrong with a key, beside ErrKey, which these errors are too.
var (
	ErrRevoked = errors.New("the key was revoked")
	ErrLength  = errors.New("the key is of a length that is not taken")
)

// Record is a public key as DNS has it (RFC 6376, section 3.6.1).
type Record struct {
	Kind    string // RSA or Ed25519
	Bits    int
	Testing bool // t=y: who published it tries it out
	Strict  bool // t=s: i= has to have the domain of d=, none below it
	key     crypto.PublicKey
}

// ServiceMail and ServiceTLSReports are what keys are for: mail, and reports about TLS (RFC 8460, section 3).
const (
	ServiceMail       = "email"
	ServiceTLSReports = "tlsrpt"
)

// maxRecord is how many octets of a record are read.
const maxRecord = 8 << 10

// ParseRecord reads a TXT record. The error is ErrKey, also for a key that was revoked or is not for mail.
func ParseRecord(text string) (Record, error) { return ParseRecordFor(text, ServiceMail) }

// ParseRecordFor reads the record of a key for one of some services. The error is ErrKey, and ErrRevoked or ErrLength where it
// is that.
func ParseRecordFor(text string, services ...string) (Record, error) {
	if len(text) > maxRecord {
		return Record{}, fmt.Errorf("a record of %d octets, %d are read: %w: %w", len(text), maxRecord, ErrLength, ErrKey)
	}
	tags, err := ParseTags(text)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if v, ok := tags.Get("v"); ok && (v != "DKIM1" || tags[0].Name != "v") {
		return Record{}, fmt.Errorf("version %.20q: %w", v, ErrKey)
	}
	for name, need := range map[string][]string{"h": {"sha256"}, "s": append([]string{"*"}, services...)} {
		if _, ok := tags.Get(name); !ok {
			continue
		}
		if !slices.ContainsFunc(tags.List(name), func(s string) bool { return slices.Contains(need, s) }) {
			return Record{}, fmt.Errorf("its %s= is not for this: %w", name, ErrKey)
		}
	}
	octets, err := tags.Octets("p")
	if p, ok := tags.Get("p"); ok && p == "" {
		return Record{}, fmt.Errorf("%w: %w", ErrRevoked, ErrKey)
	}
	if err != nil || len(octets) == 0 {
		return Record{}, fmt.Errorf("no public key: %w", ErrKey)
	}
	r, err := publicKey(tags, octets)
	flags := tags.List("t")
	r.Testing, r.Strict = slices.Contains(flags, "y"), slices.Contains(flags, "s")
	return r, err
}

func publicKey(tags Tags, octets []byte) (Record, error) {
	switch kind, ok := tags.Get("k"); {
	case kind == RSA || !ok:
		return rsaRecord(octets)
	case kind == Ed25519 && len(octets) == ed25519.PublicKeySize:
		return Record{Kind: Ed25519, Bits: 8 * len(octets), key: ed25519.PublicKey(octets)}, nil
	}
	return Record{}, fmt.Errorf("of a kind that is not known: %w", ErrKey)
}

// rsaRecord reads a SubjectPublicKeyInfo or, as erratum 3017 of RFC 6376 allows, an RSAPublicKey. Of one that is not taken
// it gives the kind and the bits.
func rsaRecord(octets []byte) (Record, error) {
	parsed, err := x509.ParsePKIXPublicKey(octets)
	if err != nil {
		if parsed, err = x509.ParsePKCS1PublicKey(octets); err != nil {
			return Record{}, fmt.Errorf("an RSA key that cannot be read: %w", ErrKey)
		}
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return Record{}, fmt.Errorf("not an RSA key: %w", ErrKey)
	}
	if bits := key.N.BitLen(); bits < minRSABits || bits > 2*maxRSABits {
		return Record{Kind: RSA, Bits: bits}, fmt.Errorf("an RSA key of %d bits: %w: %w", bits, ErrLength, ErrKey)
	}
	return Record{Kind: RSA, Bits: key.N.BitLen(), key: key}, nil
}

// Verify checks the signature of a field, b= of tags, over the fields that it covers, as Finish made it. The error is
// ErrSignature, ErrTags or ErrKey.
func (r Record) Verify(form Form, covers []string, field string, tags Tags) error {
	if a := tags.Word("a"); a != r.Kind+"-sha256" {
		return fmt.Errorf("algorithm %.20q with a key for %s: %w", a, r.Kind, ErrKey)
	}
	sig, err := tags.Octets("b")
	if err != nil {
		return err
	}
	d := digest(form, covers, field)
	switch key := r.key.(type) {
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, d[:], sig) != nil {
			return ErrSignature
		}
	case ed25519.PublicKey:
		if !ed25519.Verify(key, d[:], sig) {
			return ErrSignature
		}
	default:
		return ErrKey
	}
	return nil
}
