// Package logintest makes certificates of users, and the authorities that sign them, for tests of logins with
// SASL EXTERNAL. It signs nothing that is used outside of tests.
package logintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// Authority signs certificates. It is for one goroutine.
type Authority struct {
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	above       [][]byte // certificates that clients show with theirs; none where this one is a root
}

// NewAuthority makes an authority of its own.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	return newAuthority(t, name, nil, nil)
}

// Below makes an authority that a signs; change, unless nil, changes its certificate before.
func (a *Authority) Below(t testing.TB, name string, change func(*x509.Certificate)) *Authority {
	t.Helper()
	return newAuthority(t, name, a, change)
}

func newAuthority(t testing.TB, name string, above *Authority, change func(*x509.Certificate)) *Authority {
	t.Helper()
	template := templateOf(t, name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	if change != nil {
		change(template)
	}
	made := &Authority{key: newKey(t)}
	parent, key := template, made.key
	if above != nil {
		parent, key = above.Certificate, above.key
	}
	made.Certificate = sign(t, template, parent, &made.key.PublicKey, key)
	if above != nil {
		made.above = append([][]byte{made.Certificate.Raw}, above.above...)
	}
	return made
}

// Pool holds the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	return pool
}

// PEM is the authority's certificate as a file has it.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
}

// Issue makes a client's certificate of mail addresses, good from 2000 to 2100, with the chain that leads to a root;
// change, unless nil, changes it before it is signed.
func (a *Authority) Issue(t testing.TB, change func(*x509.Certificate), addresses ...string) tls.Certificate {
	t.Helper()
	template, key := templateOf(t, "a user"), newKey(t)
	template.EmailAddresses = addresses
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if change != nil {
		change(template)
	}
	leaf := sign(t, template, a.Certificate, &key.PublicKey, a.key)
	return tls.Certificate{Certificate: append([][]byte{leaf.Raw}, a.above...), PrivateKey: key, Leaf: leaf}
}

func templateOf(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
