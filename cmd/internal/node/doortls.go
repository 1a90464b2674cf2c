package node

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/certs"
	"github.com/rookery-mail/rookery/cmd/internal/config"
)

// certificateCheck is how often the certificate's files are looked at for a change.
const certificateCheck = 30 * time.Second

// renewBefore is how long before its end a generated certificate is made anew.
const renewBefore = 30 * 24 * time.Hour

// doorCertificate is the certificate of the mail doors. It is read again when its files change, so
// that a renewal needs no restart; a renewal that cannot be read leaves the old one in place.
type doorCertificate struct {
	certPath, keyPath string
	log               *slog.Logger

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	checked time.Time
	changed time.Time // modification time of the certificate that is in use
}

// openDoorCertificate reads the configured certificate, or makes one with the cluster's authority
// where none is configured. ca may be nil when a generated one is there already.
func openDoorCertificate(cfg config.Config, ca func() (*certs.CA, error), now time.Time, log *slog.Logger) (*doorCertificate, error) {
	d := &doorCertificate{certPath: cfg.TLS.Certificate, keyPath: cfg.TLS.Key, log: log}
	if d.certPath == "" {
		l := layout{cfg.DataDir}
		d.certPath, d.keyPath = l.doorCertificate(), l.doorKey()
		if err := generate(d.certPath, d.keyPath, cfg.SMTP.Hostname, ca, now); err != nil {
			return nil, err
		}
		log.Warn("SMTP and IMAP use a generated certificate that mail clients do not know; set tls.certificate and tls.key", "name", cfg.SMTP.Hostname)
	}
	if err := d.load(now); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return d, nil
}

// generate makes the certificate unless a good one is there.
func generate(certPath, keyPath, name string, ca func() (*certs.CA, error), now time.Time) error {
	if pair, err := tls.LoadX509KeyPair(certPath, keyPath); err == nil {
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err == nil && leaf.VerifyHostname(name) == nil && now.Before(leaf.NotAfter.Add(-renewBefore)) {
			return nil
		}
	}
	authority, err := ca()
	if err != nil {
		return fmt.Errorf("make a certificate for %s: %w", name, err)
	}
	certPEM, keyPEM, err := authority.IssueServer([]string{name}, now)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(certPath), 0o700); err != nil {
		return fmt.Errorf("make the directory of the generated certificate: %w", err)
	}
	if err := certs.Save(keyPath, keyPEM); err != nil {
		return err
	}
	return certs.Save(certPath, certPEM)
}

// load reads the files.
func (d *doorCertificate) load(now time.Time) error {
	info, err := os.Stat(d.certPath)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(d.certPath, d.keyPath)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", d.certPath, d.keyPath, err)
	}
	d.current, d.checked, d.changed = &pair, now, info.ModTime()
	return nil
}

// get is a tls.Config's GetCertificate.
func (d *doorCertificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if now.Sub(d.checked) < certificateCheck {
		return d.current, nil
	}
	d.checked = now
	if info, err := os.Stat(d.certPath); err == nil && !info.ModTime().Equal(d.changed) {
		if err := d.load(now); err != nil {
			d.log.Error("the new certificate cannot be used, the old one stays", "error", err)
		} else {
			d.log.Info("the certificate was read again", "file", d.certPath)
		}
	}
	return d.current, nil
}

// config is the TLS configuration of the mail doors (RFC 8314: TLS 1.2 or newer).
func (d *doorCertificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: d.get}
}

// mailKey is the SHA-256 of the public key (SubjectPublicKeyInfo) of the mail doors' certificate in hexadecimal digits,
// as TLSA records have it (RFC 6698, section 2.1); empty before the doors open.
func (n *Node) mailKey() string {
	d := n.certificate.Load()
	if d == nil {
		return ""
	}
	c, err := d.get(nil)
	if err != nil || c.Leaf == nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo))
}

// tlsListener puts TLS with the doors' certificate in front of a listener.
func tlsListener(l net.Listener, d *doorCertificate) net.Listener {
	return tls.NewListener(l, d.config())
}
