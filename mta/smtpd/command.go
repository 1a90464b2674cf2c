package smtpd

import (
	"context"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/wire"
)

// command executes one line. An error ends the connection.
func (c *conn) command(ctx context.Context, line string) error {
	verb, arg := wire.Command(line)
	switch verb {
	case "EHLO", "HELO", "LHLO":
		return c.hello(ctx, verb, arg)
	case "MAIL":
		c.mailFrom(ctx, arg)
	case "RCPT":
		c.rcptTo(ctx, arg)
	case "DATA":
		return c.data(ctx, arg)
	case "BDAT":
		return c.bdat(ctx, arg)
	case "AUTH":
		return c.auth(arg)
	case "STARTTLS":
		return c.startTLS(ctx, arg)
	case "RSET":
		if arg != "" {
			c.refuse(mta.Replyf(501, mta.BadArgument, "RSET takes no argument"))
			break
		}
		c.reset()
		c.reply(mta.Replyf(250, mta.OK, "Flushed"))
	case "NOOP":
		c.reply(mta.Replyf(250, mta.OK, "OK"))
	case "XCLIENT":
		return c.xclient(ctx, arg)
	case "PROXY":
		return c.noProxy()
	case "QUIT":
		c.reply(mta.Replyf(221, mta.OK, "%s says goodbye", c.srv.c.Hostname))
		return c.quit()
	case "VRFY":
		c.reply(mta.Replyf(252, mta.OK, "Send some mail and see"))
	case "HELP":
		c.reply(mta.Replyf(214, mta.OK, "See RFC 5321"))
	case "EXPN", "TURN", "ETRN", "SEND", "SOML", "SAML":
		c.refuse(mta.Replyf(502, mta.BadSequence, "%s is not implemented", verb))
	default:
		c.refuse(mta.Replyf(500, mta.BadSyntax, "Command not known"))
	}
	return nil
}

// quit sends the last reply and ends the connection.
func (c *conn) quit() error {
	c.srv.release(c) // before the client sees the end: it may come again at once
	if err := c.w.Flush(); err != nil {
		return err
	}
	return errClosed
}
