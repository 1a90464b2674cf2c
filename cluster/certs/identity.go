package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// Identity is what one node proves itself with and checks others against.
type Identity struct {
	ClusterID string
	Node      cluster.NodeID
	CA        *x509.Certificate

	chain tls.Certificate
	pool  *x509.CertPool
	clock func() time.Time
}

// NewNodeRequest makes a node's private key and the signing request (DER) for it. The key never
// leaves the node.
func NewNodeRequest(node cluster.NodeID) (keyPEM, request []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate the key of node %s: %w", node, err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: string(node)}}
	if request, err = x509.CreateCertificateRequest(rand.Reader, template, key); err != nil {
		return nil, nil, fmt.Errorf("make the signing request of node %s: %w", node, err)
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	return keyPEM, request, nil
}

// NewIdentity reads a node's key and the chain that CA.SignNode returned for it. clock is what
// certificates of peers are judged by.
func NewIdentity(chainPEM, keyPEM []byte, clock func() time.Time) (*Identity, error) {
	chain, err := tls.X509KeyPair(chainPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("read the node's certificate: %w", err)
	}
	if len(chain.Certificate) != 2 {
		return nil, fmt.Errorf("the node's certificate: a chain of %d instead of node and authority: %w", len(chain.Certificate), ErrPEM)
	}
	ca, err := x509.ParseCertificate(chain.Certificate[1])
	if err != nil {
		return nil, fmt.Errorf("read the cluster's authority: %w", err)
	}
	clusterID, err := clusterOf(ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	id := &Identity{ClusterID: clusterID, CA: ca, chain: chain, pool: pool, clock: clock}
	if id.Node, err = id.Verify(chain.Leaf, x509.ExtKeyUsageServerAuth); err != nil {
		return nil, fmt.Errorf("check the node's own certificate: %w", err)
	}
	return id, nil
}

// Verify tells which node of this cluster a certificate belongs to, or ErrForeignCluster,
// ErrNotNode or ErrUntrusted.
func (id *Identity) Verify(leaf *x509.Certificate, usage x509.ExtKeyUsage) (cluster.NodeID, error) {
	clusterID, node, err := PeerOf(leaf)
	if err != nil {
		return "", err
	}
	if clusterID != id.ClusterID {
		return "", fmt.Errorf("node %s of cluster %s, this is cluster %s: %w", node, clusterID, id.ClusterID, ErrForeignCluster)
	}
	options := x509.VerifyOptions{Roots: id.pool, CurrentTime: id.clock(), KeyUsages: []x509.ExtKeyUsage{usage}}
	if _, err := leaf.Verify(options); err != nil {
		return "", fmt.Errorf("node %s of cluster %s: %w: %w", node, clusterID, ErrUntrusted, err)
	}
	return node, nil
}

// PeerOf tells which node the other end of a verified connection is; ok is false for a peer
// without a certificate (a node that is about to join).
func (id *Identity) PeerOf(state tls.ConnectionState) (node cluster.NodeID, ok bool) {
	if len(state.PeerCertificates) == 0 {
		return "", false
	}
	_, node, err := PeerOf(state.PeerCertificates[0])
	return node, err == nil
}
