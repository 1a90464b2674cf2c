package login

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
)

// errNoCertificate says that a TLS configuration has nothing to show to a client.
var errNoCertificate = errors.New("no certificate for TLS")

// beneath is the connection beneath TLS. It learns which certificate was shown on it, for channel
// binding (RFC 5929).
type beneath struct {
	net.Conn
	shown *x509.Certificate // nil where a session was resumed
}

// ServerTLS makes the configuration of a door's connections (RFC 8314: TLS 1.2 at least), in which the
// certificate that is shown is noted for channel binding. Nil stays nil: no TLS.
func ServerTLS(config *tls.Config) *tls.Config {
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

// Handshake puts TLS over a connection; config is of ServerTLS. On an error the connection cannot be
// used any more.
func Handshake(ctx context.Context, raw net.Conn, config *tls.Config) (*tls.Conn, error) {
	t := tls.Server(&beneath{Conn: raw}, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("start TLS: %w", err)
	}
	return t, nil
}

// WithTLS completes c by what is known of the connection nc, if Handshake made it.
func (c Conn) WithTLS(nc net.Conn) Conn {
	t, ok := nc.(*tls.Conn)
	if !ok {
		return c
	}
	state := t.ConnectionState()
	c.TLS = &state
	if b, ok := t.NetConn().(*beneath); ok {
		c.Certificate = b.shown
	}
	return c
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
	return nil, errNoCertificate
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
