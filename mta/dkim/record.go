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

// Record is a public key as DNS has it (RFC 6376, section 3.6.1).
type Record struct {
	Kind string // RSA or Ed25519
	key  crypto.PublicKey
}

// ParseRecord reads a TXT record. The error is ErrKey, also for a key that was revoked or is not for mail.
func ParseRecord(text string) (Record, error) {
	tags, err := ParseTags(text)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if v, ok := tags.Get("v"); ok && (v != "DKIM1" || tags[0].Name != "v") {
		return Record{}, fmt.Errorf("version %.20q: %w", v, ErrKey)
	}
	for name, need := range map[string][]string{"h": {"sha256"}, "s": {"email", "*"}} {
		if _, ok := tags.Get(name); !ok {
			continue
		}
		if !slices.ContainsFunc(tags.List(name), func(s string) bool { return slices.Contains(need, s) }) {
			return Record{}, fmt.Errorf("its %s= is not for this: %w", name, ErrKey)
		}
	}
	octets, err := tags.Octets("p")
	if err != nil || len(octets) == 0 {
		return Record{}, fmt.Errorf("no public key, or one that was revoked: %w", ErrKey)
	}
	switch kind, ok := tags.Get("k"); {
	case kind == RSA || !ok:
		return rsaRecord(octets)
	case kind == Ed25519 && len(octets) == ed25519.PublicKeySize:
		return Record{Ed25519, ed25519.PublicKey(octets)}, nil
	}
	return Record{}, fmt.Errorf("of a kind that is not known: %w", ErrKey)
}

// rsaRecord reads a SubjectPublicKeyInfo or, as erratum 3017 of RFC 6376 allows, an RSAPublicKey.
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
		return Record{}, fmt.Errorf("an RSA key of %d bits: %w", bits, ErrKey)
	}
	return Record{RSA, key}, nil
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
