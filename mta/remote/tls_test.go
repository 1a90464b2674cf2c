package remote_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"
)

// selfSigned is a certificate that nobody vouches for.
func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, SessionTicketsDisabled: true}
}

// TestTLS: where STARTTLS is offered it is used, whatever certificate there is; where it fails the message goes without.
func TestTLS(t *testing.T) {
	const offer = "250-mx\n250 STARTTLS"
	w := &world{t: t, tls: selfSigned(t), hosts: map[string]script{"192.0.2.1": {"220 hi", offer, "220 go", "250 mx", "250 ok", "250 ok", "354 go", "250 ok"}}}
	results := w.client(nil).Deliver(context.Background(), job("one.example", "bob"))
	w.check(results, `delivered by "mx.one.example": 250 ok`)
	if got := results[0].TLS; !strings.HasPrefix(got, "TLS1.3 TLS_") || !strings.HasSuffix(got, ", not authenticated") {
		t.Errorf("TLS is %q", got)
	}

	// Each connection plays the same: on the second, MAIL is answered as STARTTLS was on the first.
	w = &world{t: t, hosts: map[string]script{"192.0.2.1": {"220 hi", offer, "454 4.7.0 not today", "250 reset"}}}
	results = w.client(nil).Deliver(context.Background(), job("one.example", "bob"))
	w.check(results, `temporary by "mx.one.example": 454 4.7.0 not today`, "192.0.2.1: EHLO out.example.org", "192.0.2.1: STARTTLS",
		"192.0.2.1: EHLO out.example.org", "192.0.2.1: MAIL FROM:<ada@example.org>", "192.0.2.1: RSET")
	if results[0].TLS != "" {
		t.Errorf("TLS is %q", results[0].TLS)
	}
}
