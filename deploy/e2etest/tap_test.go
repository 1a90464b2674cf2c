package e2etest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
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
	address string         // host:port
	trust   string         // PEM file of the authority that signed its certificate
	scribe  func() *scribe // of a connection; nil where nobody writes it down

	mu    sync.Mutex // guards what follows
	sent  []byte     // by all connections, in the order of arrival
	open  []net.Conn // of clients
	ended bool
}

// newTap starts a tap for an account, which ends with the test; what the client sent is logged if that fails.
func newTap(t *testing.T, a *account) *tap {
	t.Helper()
	return tapOf(t, a.site, a.out, a.site.scribe)
}

// tapOf starts a tap in front of a door.
func tapOf(t *testing.T, s *site, d door, note func() *scribe) *tap {
	t.Helper()
	certificate, authority := certified(t, d)
	listener, err := tls.Listen("tcp", net.JoinHostPort(d.ip, "0"), &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{address: listener.Addr().String(), trust: filepath.Join(t.TempDir(), "tap.pem"), scribe: note}
	write(t, p.trust, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority})))
	far := s.tlsConfig(t, d)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { p.join(near, d.direct, far) })
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
	said, heard := io.Writer(p), io.Writer(near)
	if p.scribe != nil {
		note := p.scribe()
		defer note.end()
		said, heard = io.MultiWriter(p, note.client()), plainly{io.MultiWriter(near, note.server())}
	}
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(heard, far)
		near.Close()
	})
	io.Copy(far, io.TeeReader(near, said))
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

// certified makes a certificate for the address and the name of a door, and the one that signed it.
func certified(t *testing.T, d door) (leaf tls.Certificate, authority []byte) {
	t.Helper()
	signer, key := newKey(t), newKey(t)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tap"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	authority, err := x509.CreateCertificate(rand.Reader, root, root, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	own := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: d.host}, NotBefore: root.NotBefore, NotAfter: root.NotAfter, DNSNames: []string{d.host},
		IPAddresses: []net.IP{net.ParseIP(d.ip)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, own, root, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
