package smtpd

import (
	"context"
	"crypto/tls"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/login"
)

// handshake puts TLS over the connection.
func (c *conn) handshake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.srv.c.Limits.Handshake)
	defer cancel()
	config := c.srv.c.TLS
	if c.kind.submits() {
		config = c.srv.users
	}
	t, err := login.Handshake(ctx, c.nc, config)
	if err != nil {
		return err
	}
	c.attach(t)
	c.secure = true
	return nil
}

// loginConn is what authentication has to know of the connection.
func (c *conn) loginConn() login.Conn {
	return login.Conn{Remote: c.remote, Done: c.srv.ctx.Done()}.WithTLS(c.nc)
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
