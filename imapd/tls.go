package imapd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"

	"github.com/rookery-mail/rookery/cluster/directory/login"
)

// beneath is the connection beneath TLS. It learns which certificate was shown on it, for channel
// binding (RFC 5929).
type beneath struct {
	net.Conn
	shown *x509.Certificate // nil where a session was resumed
}

// serverTLS makes the configuration that connections use: TLS 1.2 at least, and the certificate that is
// shown is noted.
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
		if err != nil {
			return nil, err
		}
		if b, ok := hello.Conn.(*beneath); ok {
			b.shown = leafOf(cert)
		}
		return cert, nil
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
	if cert.Leaf != nil || len(cert.Certificate) == 0 {
		return cert.Leaf
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil
	}
	return leaf
}

// handshake puts TLS over the connection.
func (c *conn) handshake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.srv.c.Limits.Handshake)
	defer cancel()
	t := tls.Server(&beneath{Conn: c.raw}, c.srv.c.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("start TLS: %w", err)
	}
	c.nc = t
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
