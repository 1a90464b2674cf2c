package certs_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/certs"
)

// epoch is the time of these tests.
func epoch() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

func at(d time.Duration) func() time.Time { return func() time.Time { return epoch().Add(d) } }

func newCA(t testing.TB, id string) *certs.CA {
	t.Helper()
	ca, err := certs.NewCA(id, epoch())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func sign(t testing.TB, ca *certs.CA, node cluster.NodeID) (chain, key []byte) {
	t.Helper()
	key, request, err := certs.NewNodeRequest("whatever the request says")
	if err != nil {
		t.Fatal(err)
	}
	if chain, err = ca.SignNode(node, request, epoch()); err != nil {
		t.Fatal(err)
	}
	return chain, key
}

func TestAuthorityIsReadBack(t *testing.T) {
	ca := newCA(t, "c1")
	key, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := certs.ParseCA(ca.CertPEM(), key)
	if err != nil {
		t.Fatal(err)
	}
	if again.ClusterID != "c1" || again.Fingerprint() != ca.Fingerprint() {
		t.Errorf("read back %q %x", again.ClusterID, again.Fingerprint())
	}
	chain, nodeKey := sign(t, again, "n1")
	if id, err := certs.NewIdentity(chain, nodeKey, epoch); err != nil || id.Node != "n1" || id.ClusterID != "c1" {
		t.Errorf("identity %+v, %v", id, err)
	}
	other, err := newCA(t, "c1").KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2][]byte{
		"another key":  {ca.CertPEM(), other},
		"no key":       {ca.CertPEM(), ca.CertPEM()},
		"no cert":      {key, key},
		"a node":       {chain, nodeKey},
		"cut cert":     {ca.CertPEM()[:100], key},
		"nothing":      {nil, nil},
		"broken bytes": {bytes.ReplaceAll(ca.CertPEM(), []byte("M"), []byte("A")), key},
	} {
		if _, err := certs.ParseCA(pair[0], pair[1]); !errors.Is(err, certs.ErrPEM) {
			t.Errorf("%s: %v, want ErrPEM", name, err)
		}
	}
}

// TestClocks holds that clocks that disagree by minutes break nothing.
func TestClocks(t *testing.T) {
	chain, key := sign(t, newCA(t, "c1"), "n1")
	for _, c := range []struct {
		off  time.Duration
		want bool
	}{
		{-2 * time.Hour, false}, {-59 * time.Minute, true}, {0, true},
		{certs.NodeValidity - time.Minute, true}, {certs.NodeValidity + time.Minute, false},
	} {
		_, err := certs.NewIdentity(chain, key, at(c.off))
		if (err == nil) != c.want || err != nil && !errors.Is(err, certs.ErrUntrusted) {
			t.Errorf("clock off by %v: %v", c.off, err)
		}
	}
}

func TestVerify(t *testing.T) {
	ca := newCA(t, "c1")
	chain, key := sign(t, ca, "n1")
	id, err := certs.NewIdentity(chain, key, epoch)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(pem []byte) *x509.Certificate {
		cert, err := certs.ParseCertificate(pem)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	peer, _ := sign(t, ca, "n2")
	foreign, _ := sign(t, newCA(t, "c2"), "n2")
	forged, _ := sign(t, newCA(t, "c1"), "n2")
	server, _, err := ca.IssueServer([]string{"mail.example.org"}, epoch())
	if err != nil {
		t.Fatal(err)
	}
	if node, err := id.Verify(leaf(peer), x509.ExtKeyUsageClientAuth); err != nil || node != "n2" {
		t.Errorf("peer: %q, %v", node, err)
	}
	for _, c := range []struct {
		name string
		pem  []byte
		want error
	}{
		{"foreign", foreign, certs.ErrForeignCluster},
		{"forged", forged, certs.ErrUntrusted},
		{"a mail server's", server, certs.ErrNotNode},
		{"the authority itself", ca.CertPEM(), certs.ErrNotNode},
	} {
		if _, err := id.Verify(leaf(c.pem), x509.ExtKeyUsageClientAuth); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestServerCertificate(t *testing.T) {
	ca := newCA(t, "c1")
	certPEM, keyPEM, err := ca.IssueServer([]string{"mail.example.org", "192.0.2.7"}, epoch())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	for _, name := range []string{"mail.example.org", "192.0.2.7"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: epoch()}); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	if err := pair.Leaf.VerifyHostname("example.org"); err == nil {
		t.Error("valid for a name that was not asked for")
	}
	if _, _, err := ca.IssueServer(nil, epoch()); err == nil {
		t.Error("issued for no name")
	}
}

// TestJoinTLS dials a node as one that has nothing but the fingerprint, with a clock that is years off.
func TestJoinTLS(t *testing.T) {
	ca, other := newCA(t, "c1"), newCA(t, "c1")
	chain, key := sign(t, ca, "n1")
	id, err := certs.NewIdentity(chain, key, epoch)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		authority certs.Fingerprint
		want      error
	}{{ca.Fingerprint(), nil}, {other.Fingerprint(), certs.ErrForeignCluster}} {
		client, server := net.Pipe()
		served := make(chan error, 1)
		go func() {
			defer server.Close()
			served <- tls.Server(server, id.ServerTLS()).Handshake()
		}()
		err := tls.Client(client, certs.JoinTLS(c.authority)).Handshake()
		_ = client.Close()
		<-served
		if !errors.Is(err, c.want) {
			t.Errorf("join: %v, want %v", err, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	request := []byte("never read")
	for _, name := range []cluster.NodeID{"", "a/b", "a b", "A", "ä", "a@b", cluster.NodeID(strings.Repeat("a", 64))} {
		if _, err := newCA(t, "c1").SignNode(name, request, epoch()); err == nil || !strings.Contains(err.Error(), "node id") {
			t.Errorf("node id %q: %v", name, err)
		}
		if _, err := certs.NewCA(string(name), epoch()); err == nil {
			t.Errorf("cluster id %q was accepted", name)
		}
	}
	if _, err := newCA(t, "c1").SignNode("n1", request, epoch()); err == nil {
		t.Error("signed bytes that are no request")
	}
}

func TestToken(t *testing.T) {
	token, err := certs.NewToken(newCA(t, "c1").Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	text := token.String()
	for _, form := range []string{text, " " + strings.ToUpper(text) + "\n"} {
		if again, err := certs.ParseToken(form); err != nil || again != token {
			t.Errorf("token %q reads as %v, %v", form, again, err)
		}
	}
	typo := []byte(text)
	typo[20] = 'a'
	if text[20] == 'a' {
		typo[20] = 'b'
	}
	for _, bad := range []string{"", "rookery1-", text[:len(text)-1], text + "a", "rookery2-" + text[9:], string(typo)} {
		if _, err := certs.ParseToken(bad); !errors.Is(err, certs.ErrTokenFormat) {
			t.Errorf("token %q: %v, want ErrTokenFormat", bad, err)
		}
	}
	record := token.Record(epoch())
	wrong := token.Secret
	wrong[3]++
	for _, c := range []struct {
		secret [16]byte
		off    time.Duration
		want   error
	}{
		{token.Secret, -time.Hour, nil},
		{token.Secret, certs.ClockSkew, nil},
		{token.Secret, certs.ClockSkew + time.Second, certs.ErrTokenExpired},
		{wrong, -time.Hour, certs.ErrTokenWrong},
		{wrong, time.Hour, certs.ErrTokenWrong},
	} {
		if err := record.Check(c.secret, epoch().Add(c.off)); !errors.Is(err, c.want) {
			t.Errorf("check at %v: %v, want %v", c.off, err, c.want)
		}
	}
}

func TestTokenGolden(t *testing.T) {
	var token certs.Token
	for i := range token.Authority {
		token.Authority[i] = byte(i)
	}
	token.ID, token.Secret = certs.TokenID{1, 2, 3}, [16]byte{15: 0xff}
	const want = "rookery1-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypqcaqdaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa75veuxos"
	if got := token.String(); got != want {
		t.Errorf("token reads %s", got)
	}
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.key")
	for _, text := range []string{"first", "second"} {
		if err := certs.Save(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("read back %q, %v", got, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files left", len(files))
	}
	if err := certs.Save(filepath.Join(dir, "none", "x"), nil); err == nil {
		t.Error("saved into a directory that is not there")
	}
}

func FuzzParseToken(f *testing.F) {
	token, err := certs.NewToken(certs.Fingerprint{1, 2, 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token.String())
	f.Fuzz(func(t *testing.T, text string) {
		if token, err := certs.ParseToken(text); err == nil && token.String() != strings.ToLower(strings.TrimSpace(text)) {
			t.Errorf("%q reads as %v", text, token)
		}
	})
}
