package e2etest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// tap stands between a client and the reading door of an account: it ends the client's TLS, with a
// certificate for its address, and keeps what the client sends. It serves clients that insist that the
// certificate names what they dial. Channel binding does not survive it.
type tap struct {
	address string // host:port
	trust   string // PEM file of its certificate

	mu    sync.Mutex // guards what follows
	sent  []byte     // by all connections, in the order of arrival
	open  []net.Conn // of clients
	ended bool
}

// newTap starts a tap, which ends with the test; what the client sent is logged if that fails.
func newTap(t *testing.T, a *account) *tap {
	t.Helper()
	certificate := selfSigned(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{address: listener.Addr().String(), trust: filepath.Join(t.TempDir(), "tap.pem")}
	write(t, p.trust, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})))
	far := a.site.tlsConfig(t, a.out)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { p.join(near, a.out.imaps, far) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.end()
		work.Wait()
		if t.Failed() {
			t.Logf("the client sent:\n%s", p.said())
		}
	})
	return p
}

// join copies both ways until one side ends.
func (p *tap) join(near net.Conn, address string, config *tls.Config) {
	defer near.Close()
	if !p.opens(near) {
		return
	}
	far, err := tls.Dial("tcp", address, config)
	if err != nil {
		return
	}
	defer far.Close()
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(near, far)
		near.Close()
	})
	io.Copy(far, io.TeeReader(near, p))
	far.Close()
	back.Wait()
}

// opens notes a connection, unless the tap has ended.
func (p *tap) opens(near net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, near)
	return !p.ended
}

// end closes all connections.
func (p *tap) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, near := range p.open {
		near.Close()
	}
}

// Write keeps what a client sent.
func (p *tap) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, data...)
	return len(data), nil
}

func (p *tap) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.sent)
}

// selfSigned makes a certificate for 127.0.0.1.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
