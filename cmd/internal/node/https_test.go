package node

import (
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/config"
	"github.com/rookery-mail/rookery/mta/certtest"
)

// TestWebCertificate: HTTPS has the certificate of its own where one is named, and says which cannot be read.
func TestWebCertificate(t *testing.T) {
	dir := t.TempDir()
	made := certtest.SelfSigned(t, "mta-sts.example.org")
	key, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mail := &doorCertificate{}
	n := &Node{log: slog.New(slog.DiscardHandler)}
	if got, err := n.webCertificate(mail); err != nil || got != mail {
		t.Errorf("without one: %v", err)
	}
	n.cfg.HTTPS = config.HTTPS{Certificate: write("c.pem", "CERTIFICATE", made.Certificate[0]), Key: write("k.pem", "PRIVATE KEY", key)}
	got, err := n.webCertificate(mail)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := got.get(nil)
	if err != nil || shown.Leaf.VerifyHostname("mta-sts.example.org") != nil {
		t.Errorf("%v", err)
	}
	n.cfg.HTTPS.Key = filepath.Join(dir, "none.pem")
	if _, err := n.webCertificate(mail); err == nil {
		t.Error("a key that is not there was read")
	}
}
