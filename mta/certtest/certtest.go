// Package certtest makes certificates for tests: authorities, and hosts' certificates of all the kinds that are met.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	t    testing.TB
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New makes an authority of its own.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, key: newKey(t)}
	a.Cert = a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.key)
	return a
}

// Pool is the authority as one that is trusted.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.Cert)
	return p
}

// Host makes a certificate for names, good from yesterday to tomorrow. The chain has the authority behind it.
func (a *Authority) Host(names ...string) tls.Certificate {
	return a.Between(time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour), names...)
}

// Expired makes one that was good until an hour ago.
func (a *Authority) Expired(names ...string) tls.Certificate {
	return a.Between(time.Now().Add(-24*time.Hour), time.Now().Add(-time.Hour), names...)
}

// Between makes one that is good from and until.
func (a *Authority) Between(from, until time.Time, names ...string) tls.Certificate {
	key := newKey(a.t)
	c := a.sign(&x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: until, DNSNames: names,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, key)
	return tls.Certificate{Certificate: [][]byte{c.Raw, a.Cert.Raw}, PrivateKey: key, Leaf: c}
}

// sign makes the certificate of a key.
func (a *Authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	parent := a.Cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// SelfSigned makes a certificate that nobody vouches for.
func SelfSigned(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	c := New(t).Host(names...)
	c.Certificate = c.Certificate[:1]
	return c
}

// Chain gives a certificate's chain as a client sees it.
func Chain(t testing.TB, c tls.Certificate) []*x509.Certificate {
	t.Helper()
	var out []*x509.Certificate
	for _, der := range c.Certificate {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, parsed)
	}
	return out
}

// SPKI is the SHA-256 of a certificate's public key in hexadecimal digits, as TLSA records with selector 1 and matching type 1
// have it.
func SPKI(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
