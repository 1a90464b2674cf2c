package smtpd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/login"
)

// beneath is the connection beneath TLS. It learns which certificate was shown on it, for channel
// binding.
type beneath struct {
	net.Conn
	shown *x509.Certificate // nil where a session was resumed
}

// serverTLS makes the configuration that connections use: TLS 1.2 at least, and each certificate that
// is shown is noted.
func serverTLS(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	fixed, get := config.Certificates, config.GetCertificate
	config.Certificates = nil // so that GetCertificate is asked without SNI too
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := choose(hello, fixed, get)
		if b, ok := hello.Conn.(*beneath); ok && cert != nil {
			b.shown = leafOf(cert)
		}
		return cert, err
	}
	return config
}

// choose picks a certificate as crypto/tls does.
func choose(hello *tls.ClientHelloInfo, fixed []tls.Certificate, get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (*tls.Certificate, error) {
	if get != nil {
		if cert, err := get(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range fixed {
		if hello.SupportsCertificate(&fixed[i]) == nil {
			return &fixed[i], nil
		}
	}
	if len(fixed) > 0 {
		return &fixed[0], nil
	}
	return nil, fmt.Errorf("certificate for TLS: %w", errNotConfigured)
}

// leafOf gives the first certificate of the chain, nil where it cannot be read.
func leafOf(cert *tls.Certificate) *x509.Certificate {
	if cert.Leaf != nil {
		return cert.Leaf
	}
	if len(cert.Certificate) == 0 {
		return nil
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil
	}
	return leaf
}

// handshake puts TLS under the connection.
func (c *conn) handshake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.srv.c.Limits.Handshake)
	defer cancel()
	t := tls.Server(&beneath{Conn: c.nc}, c.srv.c.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("start TLS: %w", err)
	}
	c.attach(t)
	c.secure = true
	return nil
}

// loginConn is what authentication has to know of the connection.
func (c *conn) loginConn() login.Conn {
	lc := login.Conn{Remote: c.remote, Done: c.srv.ctx.Done()}
	if t, ok := c.nc.(*tls.Conn); ok {
		state := t.ConnectionState()
		lc.TLS = &state
		lc.Certificate = t.NetConn().(*beneath).shown
	}
	return lc
}

// tlsWords describes TLS for a Received field; empty without it.
func (c *conn) tlsWords() string {
	t, ok := c.nc.(*tls.Conn)
	if !ok {
		return ""
	}
	state := t.ConnectionState()
	return strings.ReplaceAll(tls.VersionName(state.Version), " ", "") + " " + tls.CipherSuiteName(state.CipherSuite)
}
