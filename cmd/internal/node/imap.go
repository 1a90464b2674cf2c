package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"

	"github.com/rookery-mail/rookery/cluster/directory/login"
)

type imapStub struct{}

func (imapStub) Shutdown(context.Context) error { return nil }

func (n *Node) openIMAP(*login.Authenticator, func() *x509.Certificate, *tls.Config) error {
	return nil
}
func (n *Node) serveIMAP(net.Listener) error  { return nil }
func (n *Node) serveIMAPS(net.Listener) error { return nil }
