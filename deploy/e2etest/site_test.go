package e2etest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// domain is the only one of every site.
const domain = "example.org"

// door is where clients reach one node.
type door struct {
	host string // the name in its certificate
	ip   string

	mx, submission, submissions, imap, imaps string // addresses
	direct                                   string // imaps without anybody who writes down what is said
}

// site is a running cluster as its users see it.
type site struct {
	doors      []door
	authority  string // PEM file of the authority that signed the doors' certificates
	addAccount func(t *testing.T, address, password string)
	addAlias   func(t *testing.T, address, target string)
	set        func(t *testing.T, setting, value string)

	next  atomic.Uint32 // door of the next account
	story atomic.Value  // string: what is being told

	scribe func() *scribe // writes a connection down; nil where nobody does
}

// account is one user. Mail goes in by one door and is read at another one, where there is more than one.
type account struct {
	site              *site
	address, password string
	in, out           door
}

// newAccount makes an account for a story.
func (s *site) newAccount(t *testing.T, name string) *account {
	t.Helper()
	i := int(s.next.Add(1))
	a := &account{
		site:    s,
		address: name + "." + strings.ToLower(rand.Text()[:6]) + "@" + domain,
		// Characters that clients like to trip over.
		password: "p%s \"w\\" + rand.Text()[:8],
		in:       s.doors[i%len(s.doors)],
		out:      s.doors[(i+1)%len(s.doors)],
	}
	s.addAccount(t, a.address, a.password)
	return a
}

// tlsConfig trusts the site's authority and nobody else.
func (s *site) tlsConfig(t *testing.T, d door) *tls.Config {
	t.Helper()
	data, err := os.ReadFile(s.authority)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		t.Fatalf("no certificate in %s", s.authority)
	}
	return &tls.Config{RootCAs: pool, ServerName: d.host}
}

// certificate gives a PEM file with the door's own certificate, for clients that are told to trust just
// that one, because they dial an address and not a name.
func (s *site) certificate(t *testing.T, d door) string {
	t.Helper()
	conn, err := tls.Dial("tcp", d.imaps, s.tlsConfig(t, d))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file := filepath.Join(t.TempDir(), "certificate.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw}
	write(t, file, string(pem.EncodeToMemory(block)))
	return file
}

// port is the port of "host:port".
func port(t *testing.T, address string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// write makes a file.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// patience is how long anything in a story may take.
const patience = time.Minute

// within gives a context that ends when patience does.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually asks until f is content; another node may see a change a moment later.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
