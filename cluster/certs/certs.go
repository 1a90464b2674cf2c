// Package certs makes and checks what the nodes of one cluster know each other by: the cluster's
// certificate authority, node certificates, the TLS settings of the transport, and the tokens a new
// node joins with. It also issues server certificates of the cluster's own authority for mail names
// that have none from elsewhere. It is not an ACME client, and it decides nothing about who may
// join: tokens are redeemed in the directory.
//
// A node certificate carries the URI rookery://<cluster id>/<node id> as its subject alternative name;
// the common name is the node id, for people. Every private key is ECDSA P-256.
//
// Clocks of nodes may disagree by minutes: certificates are valid from an hour before they were
// issued, and a token is honoured for ClockSkew after its expiry. A node certificate lasts as long
// as its cluster is likely to (NodeValidity): what ends a node's membership is its removal from the
// directory, which the transport asks (transport.Config.Authorize), not a date that could stop a
// healthy cluster.
package certs

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// Times of certificates and tokens.
const (
	// Backdate is how long before its issue a certificate is valid.
	Backdate = time.Hour
	// ClockSkew is how far the clocks of two nodes may be apart without harm to a token.
	ClockSkew = 10 * time.Minute
	// CAValidity is the life of a cluster's authority.
	CAValidity = 30 * 365 * 24 * time.Hour
	// NodeValidity is the life of a node certificate.
	NodeValidity = 10 * 365 * 24 * time.Hour
	// ServerValidity is the life of a server certificate for mail names. Clients such as those
	// of Apple refuse longer ones, even of an authority the user trusts.
	ServerValidity = 397 * 24 * time.Hour
)

// Scheme is the scheme of the URI in a node certificate.
const Scheme = "rookery"

var (
	// ErrForeignCluster says that a certificate is a node certificate, but of another cluster.
	ErrForeignCluster = errors.New("certificate of another cluster")
	// ErrNotNode says that a certificate does not name a node of any cluster.
	ErrNotNode = errors.New("not a node certificate")
	// ErrUntrusted says that a certificate claims this cluster but its authority did not sign it,
	// or not for this use or time.
	ErrUntrusted = errors.New("certificate not signed by the cluster's authority")
	// ErrPEM says that a file holds no usable certificate or key.
	ErrPEM = errors.New("no usable PEM block")
)

// nodeURI builds the subject alternative name of a node.
func nodeURI(clusterID string, node cluster.NodeID) *url.URL {
	return &url.URL{Scheme: Scheme, Host: clusterID, Path: "/" + string(node)}
}

// PeerOf reads cluster and node from a node certificate without judging its signature.
func PeerOf(cert *x509.Certificate) (clusterID string, node cluster.NodeID, err error) {
	for _, uri := range cert.URIs {
		if uri.Scheme != Scheme {
			continue
		}
		name := strings.TrimPrefix(uri.Path, "/")
		if uri.Host == "" || CheckNodeID(cluster.NodeID(name)) != nil {
			return "", "", fmt.Errorf("name %q: %w", uri, ErrNotNode)
		}
		return uri.Host, cluster.NodeID(name), nil
	}
	return "", "", fmt.Errorf("subject %q: %w", cert.Subject, ErrNotNode)
}

// CheckNodeID refuses names that cannot stand in a certificate, a URI or a log line as they are: a
// node id is 1 to 63 of a-z, 0-9, hyphen, dot and underscore.
func CheckNodeID(node cluster.NodeID) error { return checkName("node id", string(node)) }

// CheckClusterID applies the rule of CheckNodeID to the name of a cluster.
func CheckClusterID(id string) error { return checkName("cluster id", id) }

func checkName(what, name string) error {
	if len(name) == 0 || len(name) > 63 {
		return fmt.Errorf("%s %q: 1 to 63 characters are allowed", what, name)
	}
	for _, c := range name {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' {
			continue
		}
		return fmt.Errorf("%s %q: only a-z, 0-9, hyphen, dot and underscore are allowed", what, name)
	}
	return nil
}

// serialNumber draws a 120-bit serial number (RFC 5280 section 4.1.2.2 allows up to 20 octets).
func serialNumber() (*big.Int, error) {
	var raw [15]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	return new(big.Int).SetBytes(raw[:]), nil
}
