package node

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/rookery-mail/rookery/cluster/directory/login"
)

type imapStub struct{}

func (imapStub) Shutdown(context.Context) error { return nil }

func (n *Node) openIMAP(*login.Authenticator, *tls.Config) error {
	return nil
}
func (n *Node) serveIMAP(net.Listener) error  { return nil }
func (n *Node) serveIMAPS(net.Listener) error { return nil }
