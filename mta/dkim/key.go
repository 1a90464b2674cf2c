package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
)

// ErrKey says that a key cannot sign mail, or that a record publishes none that can.
var ErrKey = errors.New("not a key for signing mail")

// The kinds of keys, as records and the directory name them.
const (
	RSA     = "rsa"     // rsa-sha256, of 1,024 to 4,096 bits (RFC 8301, section 3.2)
	Ed25519 = "ed25519" // ed25519-sha256 (RFC 8463)
)

// The lengths of RSA keys in bits.
const (
	RSABits    = 2048 // of those that are made
	minRSABits = 1024
	maxRSABits = 4096
)

// Key signs for a domain.
type Key struct {
	Domain, Selector string
	signer           crypto.Signer // *rsa.PrivateKey or ed25519.PrivateKey
}

// NewKey makes a key of a PKCS #8 private key in DER. The error is ErrKey.
func NewKey(domain, selector string, private []byte) (Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return Key{}, fmt.Errorf("read the key %s of %s: %w", selector, domain, ErrKey) // err may tell of the key
	}
	k := Key{Domain: domain, Selector: selector}
	switch p := parsed.(type) {
	case *rsa.PrivateKey:
		if bits := p.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return Key{}, fmt.Errorf("an RSA key of %d bits, %d to %d are allowed: %w", bits, minRSABits, maxRSABits, ErrKey)
		}
		k.signer = p
	case ed25519.PrivateKey:
		k.signer = p
	default:
		return Key{}, fmt.Errorf("a key of kind %T, RSA and Ed25519 are known: %w", parsed, ErrKey)
	}
	return k, nil
}

// Generate makes a private key of a kind, out of random octets, in PKCS #8. The error is ErrKey for a kind that is not known.
func Generate(kind string, random io.Reader) (private []byte, err error) {
	var key any
	switch kind {
	case RSA:
		key, err = rsa.GenerateKey(random, RSABits)
	case Ed25519:
		_, key, err = ed25519.GenerateKey(random)
	default:
		return nil, fmt.Errorf("kind %q, there are %s and %s: %w", kind, RSA, Ed25519, ErrKey)
	}
	if err != nil {
		return nil, fmt.Errorf("make a key of kind %s: %w", kind, err)
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

// ReadPEM reads the private key of a PEM file, as OpenDKIM, OpenSSL and others write them (PKCS #1 or #8), and gives
// it in PKCS #8. The error is ErrKey.
func ReadPEM(text []byte) (private []byte, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PRIVATE KEY":
			private = block.Bytes
		case "RSA PRIVATE KEY":
			parsed, err := x509.ParsePKCS1PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("an RSA key that cannot be read: %w", ErrKey)
			}
			if private, err = x509.MarshalPKCS8PrivateKey(parsed); err != nil {
				return nil, fmt.Errorf("an RSA key that cannot be written: %w", ErrKey)
			}
		default:
			continue // parameters, public keys
		}
		_, err := NewKey("", "", private)
		return private, err
	}
	return nil, fmt.Errorf("no private key in PEM without a pass phrase: %w", ErrKey)
}

// PEM writes a PKCS #8 private key in PEM.
func PEM(private []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// Kind is RSA or Ed25519.
func (k Key) Kind() string {
	if _, ok := k.signer.(ed25519.PrivateKey); ok {
		return Ed25519
	}
	return RSA
}

// Algorithm is the value of the a= tag.
func (k Key) Algorithm() string { return k.Kind() + "-sha256" }

// Host is the name whose TXT record publishes the key (RFC 6376, section 3.6.2.1).
func (k Key) Host() string { return k.Selector + "._domainkey." + k.Domain }

// Record is the text of the TXT record that publishes the key.
func (k Key) Record() string {
	public := k.public()
	if k.Kind() == RSA {
		der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
		if err != nil {
			panic("dkim: an RSA key without a public one: " + err.Error()) // broken invariant: NewKey parsed it
		}
		public = der
	}
	return "v=DKIM1; k=" + k.Kind() + "; p=" + base64.StdEncoding.EncodeToString(public)
}

// public is an Ed25519 key as its records have it (RFC 8463, section 4.2).
func (k Key) public() []byte {
	p, _ := k.signer.Public().(ed25519.PublicKey)
	return p
}

// Published reports whether the TXT records of Host publish the key. More than one record at a name is as good as
// none (RFC 6376, section 3.6.2.2).
func (k Key) Published(texts []string) bool {
	if len(texts) != 1 {
		return false
	}
	r, err := ParseRecord(texts[0])
	if err != nil {
		return false
	}
	public, ok := k.signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && r.Kind == k.Kind() && public.Equal(r.key)
}

// sign signs a digest. Ed25519 signs the digest as its message (RFC 8463, section 3).
func (k Key) sign(d Digest) ([]byte, error) {
	var hash crypto.Hash
	if k.Kind() == RSA {
		hash = crypto.SHA256
	}
	return k.signer.Sign(nil, d[:], hash) // neither draws anything: PKCS #1 v1.5, and RFC 8032
}
