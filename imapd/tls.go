package imapd

import (
	"context"

	"github.com/rookery-mail/rookery/cluster/directory/login"
)

// handshake puts TLS over the connection.
func (c *conn) handshake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.srv.c.Limits.Handshake)
	defer cancel()
	t, err := login.Handshake(ctx, c.raw, c.srv.c.TLS)
	if err != nil {
		return err
	}
	c.nc = t
	return nil
}

// loginConn is what authentication has to know of the connection.
func (c *conn) loginConn() login.Conn {
	return login.Conn{Remote: c.remote, Done: c.srv.ctx.Done()}.WithTLS(c.nc)
}
