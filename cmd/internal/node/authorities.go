package node

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// userAuthorities are the authorities whose certificates users log in with. They are read again when their file
// changes; one that cannot be read leaves the old ones in place.
type userAuthorities struct {
	path string // empty: there are none
	log  *slog.Logger

	mu      sync.Mutex // guards what follows
	pool    *x509.CertPool
	checked time.Time
	changed time.Time // modification time of the file that pool is of
}

// openUserAuthorities reads the configured file, if there is one.
func openUserAuthorities(path string, now time.Time, log *slog.Logger) (*userAuthorities, error) {
	u := &userAuthorities{path: path, log: log}
	if path == "" {
		return u, nil
	}
	return u, u.load(now)
}

// get gives the authorities, the same pool as long as they do not change; nil where there are none. It looks at the
// file as often as a door looks at its certificate.
func (u *userAuthorities) get() *x509.CertPool {
	if u.path == "" {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if now.Sub(u.checked) < certificateCheck {
		return u.pool
	}
	u.checked = now
	info, err := os.Stat(u.path)
	if err == nil && info.ModTime().Equal(u.changed) {
		return u.pool
	}
	if err == nil {
		err = u.load(now)
	}
	if err != nil {
		u.log.Error("the authorities of users cannot be read, the old ones stay", "error", err)
	} else {
		u.log.Info("the authorities of users were read again", "file", u.path)
	}
	return u.pool
}

// load reads the file.
func (u *userAuthorities) load(now time.Time) error {
	info, err := os.Stat(u.path)
	if err != nil {
		return fmt.Errorf("tls.user_authorities: %w", err)
	}
	data, err := os.ReadFile(u.path)
	if err != nil {
		return fmt.Errorf("tls.user_authorities: %w", err)
	}
	pool, err := parseAuthorities(data)
	if err != nil {
		return fmt.Errorf("tls.user_authorities %s: %w", u.path, err)
	}
	u.pool, u.checked, u.changed = pool, now, info.ModTime()
	return nil
}

var errNoAuthority = errors.New("not a PEM file of certificates of authorities")

// parseAuthorities reads a PEM file, of which all has to be understood: an authority that was left out by mistake shows
// only when its users cannot log in.
func parseAuthorities(data []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	blocks := bytes.Count(data, []byte("-----BEGIN "))
	for range blocks {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, errNoAuthority // one that is broken was passed over
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a %.40q in it: %w", block.Type, errNoAuthority)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoAuthority, err)
		}
		if !cert.IsCA {
			return nil, fmt.Errorf("%q is of no authority: %w", cert.Subject, errNoAuthority)
		}
		pool.AddCert(cert)
		data = rest
	}
	if blocks == 0 {
		return nil, errNoAuthority
	}
	return pool, nil
}
