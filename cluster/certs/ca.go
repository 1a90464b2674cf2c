package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// Fingerprint is the SHA-256 of a certificate's subject public key info: it names an authority.
type Fingerprint [sha256.Size]byte

// FingerprintOf computes the fingerprint of a certificate's key.
func FingerprintOf(cert *x509.Certificate) Fingerprint {
	return sha256.Sum256(cert.RawSubjectPublicKeyInfo)
}

// CA is the authority of one cluster, with its private key.
type CA struct {
	ClusterID   string
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewCA makes the authority of a new cluster.
func NewCA(clusterID string, now time.Time) (*CA, error) {
	if err := CheckClusterID(clusterID); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate the key of cluster %s: %w", clusterID, err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Rookery"}, CommonName: "Rookery cluster " + clusterID},
		URIs:                  []*url.URL{{Scheme: Scheme, Host: clusterID}},
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(CAValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the authority of cluster %s: %w", clusterID, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the authority of cluster %s back: %w", clusterID, err)
	}
	return &CA{ClusterID: clusterID, Certificate: cert, key: key}, nil
}

// ParseCA reads an authority that CertPEM and KeyPEM wrote.
func ParseCA(certPEM, keyPEM []byte) (*CA, error) {
	cert, err := ParseCertificate(certPEM)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's authority: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("read the key of the cluster's authority: %w", err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("authority %s: the key belongs to another certificate: %w", cert.Subject, ErrPEM)
	}
	id, err := clusterOf(cert)
	if err != nil {
		return nil, err
	}
	return &CA{ClusterID: id, Certificate: cert, key: key}, nil
}

// clusterOf reads the cluster's name from its authority.
func clusterOf(ca *x509.Certificate) (string, error) {
	for _, uri := range ca.URIs {
		if uri.Scheme == Scheme && ca.IsCA && CheckClusterID(uri.Host) == nil {
			return uri.Host, nil
		}
	}
	return "", fmt.Errorf("authority %q names no cluster: %w", ca.Subject, ErrPEM)
}

// Fingerprint names the authority in join tokens.
func (ca *CA) Fingerprint() Fingerprint { return FingerprintOf(ca.Certificate) }

// CertPEM is the authority's certificate, which every node has.
func (ca *CA) CertPEM() []byte { return encodeCertificates(ca.Certificate.Raw) }

// KeyPEM is the authority's private key: whoever has it can add nodes.
func (ca *CA) KeyPEM() ([]byte, error) { return encodeKey(ca.key) }

// SignNode answers a node's signing request (NewNodeRequest) with a certificate for node, whatever
// name the request carries. The result is PEM: the node's certificate, then the authority's.
func (ca *CA) SignNode(node cluster.NodeID, request []byte, now time.Time) ([]byte, error) {
	if err := CheckNodeID(node); err != nil {
		return nil, err
	}
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, fmt.Errorf("read the signing request of node %s: %w", node, err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("check the signing request of node %s: %w", node, err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{Organization: []string{"Rookery"}, CommonName: string(node)},
		URIs:        []*url.URL{nodeURI(ca.ClusterID, node)},
		NotAfter:    now.Add(NodeValidity),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	return ca.issue(template, csr.PublicKey, now)
}

// IssueServer makes a key and a certificate for mail names (host names or addresses). Clients see
// an authority they do not know; it serves clusters that have no public certificate yet.
func (ca *CA) IssueServer(names []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("issue a server certificate: no name given")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate the key of %s: %w", names[0], err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		NotAfter:    now.Add(ServerValidity),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if certPEM, err = ca.issue(template, key.Public(), now); err != nil {
		return nil, nil, err
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	return certPEM, keyPEM, nil
}

// issue completes a leaf's template, signs it and returns the chain as PEM.
func (ca *CA) issue(template *x509.Certificate, public crypto.PublicKey, now time.Time) ([]byte, error) {
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = now.Add(-Backdate)
	if template.NotAfter.After(ca.Certificate.NotAfter) {
		template.NotAfter = ca.Certificate.NotAfter
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, public, ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", template.Subject.CommonName, err)
	}
	return encodeCertificates(der, ca.Certificate.Raw), nil
}
