//go:build linux

package netnstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/deploy/sink"
)

// authority vouches for hosts.
type authority struct {
	template *x509.Certificate
	key      *ecdsa.PrivateKey
}

// newAuthority makes one that Rookery trusts, as it is started after this.
func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "netns-test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "authority.pem")
	write(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	t.Setenv("SSL_CERT_FILE", file)
	return authority{template, key}
}

// vouch makes a certificate for names.
func (a authority) vouch(t *testing.T, names ...string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}, a.template, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// policies serves texts over HTTPS, by host.
func policies(t *testing.T, address string, config *tls.Config, texts map[string]string) {
	t.Helper()
	server := &http.Server{TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := texts[r.Host]
		if !ok || r.URL.Path != "/.well-known/mta-sts.txt" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, text)
	})}
	l := listen(t, "sink", net.JoinHostPort(address, "443"))
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(l, "", "") }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// TestSTS: a domain that publishes a policy has its hosts held to it (RFC 8461), in a zone that is not signed.
func TestSTS(t *testing.T) {
	trusted := newAuthority(t)
	w := newWorld(t)
	self := newCertificate(t, "mx.self."+plainName)
	cases := []struct {
		name, policy string
		tls          *tls.Config
		line         []string
		taken        bool
		clear        bool // it may go so
	}{
		{"good", "enforce", trusted.vouch(t, "mx.good."+plainName), []string{"outcome=delivered", "TLS1.3"}, true, false},
		{"self", "enforce", &tls.Config{Certificates: []tls.Certificate{self.pair}}, []string{"outcome=deferred", "MTA-STS"}, false, false},
		{"stripped", "enforce", nil, []string{"outcome=deferred", "MTA-STS"}, false, false},
		{"foreign", "enforce", trusted.vouch(t, "mx.elsewhere."+plainName), []string{"outcome=deferred", "MTA-STS"}, false, false},
		{"testing", "testing", nil, []string{"outcome=delivered", `tls=""`}, true, true},
	}
	texts, names := map[string]string{}, []string{}
	server := hosts["sink"] + sinkAddresses - 1
	for _, c := range cases {
		host := "mta-sts." + c.name + "." + plainName
		texts[host] = "version: STSv1\r\nmode: " + c.policy + "\r\nmx: mx." + c.name + "." + plainName + "\r\nmax_age: 86400\r\n"
		names = append(names, host)
		w.zone.add(t, host+". 5 IN A "+v4(server), "_mta-sts."+c.name+"."+plainName+". 5 IN TXT \"v=STSv1; id=1;\"")
	}
	policies(t, v4(server), trusted.vouch(t, names...), texts)
	for i, c := range cases {
		d := c.name + "." + plainName
		number := hosts["sink"] + i
		w.zone.add(t, d+". 5 IN MX 10 mx."+d+".", "mx."+d+". 5 IN A "+v4(number))
		open := new(inClear)
		s := w.sinkAt(t, number, sink.Config{TLS: c.tls, Answer: open.answer})
		bob := "bob@" + d
		m := w.message(bob)
		w.send(t, m, bob)
		t.Run(c.name, func(t *testing.T) {
			w.tried(t, bob, c.line...)
			if got := len(s.of(m)) > 0; got != c.taken {
				t.Errorf("the host has it: %v, not %v", got, c.taken)
			}
			open.mu.Lock()
			defer open.mu.Unlock()
			if !c.clear && len(open.seen) > 0 {
				t.Errorf("in the clear: %q", open.seen)
			}
		})
	}
}
