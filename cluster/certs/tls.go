package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// ALPN is the protocol name (RFC 7301) of the transport between nodes.
const ALPN = "rookery/1"

// ServerTLS is the listening side of the transport: TLS 1.3, a client certificate is asked for and,
// if given, must be one of a node of this cluster. A connection without one is let through here:
// the transport allows it nothing but joining.
func (id *Identity) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{ALPN},
		Certificates: []tls.Certificate{id.chain},
		// The verdict is in VerifyConnection, which is also asked when a session is resumed and
		// can tell a foreign cluster from a broken chain.
		ClientAuth: tls.RequestClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			_, err := id.Verify(state.PeerCertificates[0], x509.ExtKeyUsageClientAuth)
			return err
		},
		Time: id.clock,
	}
}

// ClientTLS is the dialling side of the transport. Sessions are resumed per address.
func (id *Identity) ClientTLS() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{ALPN},
		Certificates: []tls.Certificate{id.chain},
		// Nodes are known by a URI, not by a host name: VerifyConnection does what the standard
		// check would, for that name.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return fmt.Errorf("peer without certificate: %w", ErrNotNode)
			}
			_, err := id.Verify(state.PeerCertificates[0], x509.ExtKeyUsageServerAuth)
			return err
		},
		ClientSessionCache: tls.NewLRUClientSessionCache(256),
		Time:               id.clock,
	}
}

// JoinTLS is the dialling side of a node that has no certificate yet: the authority it talks to is
// the one its token names. Dates are not judged, a new machine's clock may be wrong by far and the
// fingerprint is the stronger proof.
func JoinTLS(authority Fingerprint) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{ALPN},
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return verifyAuthority(state.PeerCertificates, authority)
		},
	}
}

func verifyAuthority(chain []*x509.Certificate, authority Fingerprint) error {
	if len(chain) < 2 {
		return fmt.Errorf("the node shows no cluster authority: %w", ErrNotNode)
	}
	leaf, ca := chain[0], chain[len(chain)-1]
	if FingerprintOf(ca) != authority {
		return fmt.Errorf("authority %q is not the one of the token: %w", ca.Subject, ErrForeignCluster)
	}
	if _, _, err := PeerOf(leaf); err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	options := x509.VerifyOptions{Roots: pool, CurrentTime: middle(leaf), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if _, err := leaf.Verify(options); err != nil {
		return errors.Join(ErrUntrusted, err)
	}
	return nil
}

// middle is a time at which cert is valid by its own dates.
func middle(cert *x509.Certificate) time.Time {
	return cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) / 2)
}
