package smtpd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

// errClosed ends a connection that has nothing left to say.
var errClosed = errors.New("closed")

// maxHelo is the longest name that a client may give itself (RFC 5321, section 4.5.3.1.2).
const maxHelo = 255

// hello answers EHLO, HELO and LHLO. All of them end a mail transaction (RFC 5321, section 4.1.4).
func (c *conn) hello(ctx context.Context, verb, arg string) {
	name, _, _ := strings.Cut(arg, " ")
	switch {
	case (c.kind == LMTP) != (verb == "LHLO"):
		c.refuse(mta.Replyf(500, mta.BadSequence, "%s is not spoken here", verb))
		return
	case name == "" || len(name) > maxHelo:
		c.refuse(mta.Replyf(501, mta.BadArgument, "Syntax: %s hostname", verb))
		return
	}
	c.reset()
	if c.session != nil {
		if r := c.session.Hello(ctx, name, verb != "HELO", c.tlsState()); r != nil {
			c.refuse(r)
			return
		}
	}
	c.helo, c.extended = name, verb != "HELO"
	c.bounds = c.srv.c.Directory.Bounds()
	if !c.extended {
		c.reply(mta.Replyf(250, "", "%s", c.srv.c.Hostname))
		return
	}
	c.reply(&mta.Reply{Code: 250, Text: strings.Join(append([]string{c.srv.c.Hostname}, c.extensions()...), "\n")})
}

// extensions lists what is offered on this connection at this moment.
func (c *conn) extensions() []string {
	list := []string{"PIPELINING", fmt.Sprintf("SIZE %d", c.bounds.MaxMessage)}
	if c.srv.c.TLS != nil && !c.secure {
		list = append(list, "STARTTLS")
	}
	if mechanisms := c.mechanisms(); len(mechanisms) > 0 {
		list = append(list, "AUTH "+strings.Join(mechanisms, " "))
	}
	list = append(list, "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "CHUNKING")
	known := c.known()
	if known.DSN {
		list = append(list, "DSN")
	}
	if known.Queue {
		until := known.Now.Add(mta.MaxHold).UTC().Format("2006-01-02T15:04:05Z")
		list = append(list, fmt.Sprintf("FUTURERELEASE %d %s", mta.MaxHold/time.Second, until), "DELIVERBY", "MT-PRIORITY")
	}
	if known.RequireTLS {
		list = append(list, "REQUIRETLS")
	}
	return append(list, fmt.Sprintf("LIMITS RCPTMAX=%d", c.bounds.MaxRecipients))
}

// startTLS answers STARTTLS (RFC 3207). What a client sent after it in plain text is an attempt to
// have commands executed inside of TLS, and ends the connection.
func (c *conn) startTLS(ctx context.Context, arg string) error {
	switch {
	case c.srv.c.TLS == nil:
		c.refuse(mta.Replyf(502, mta.BadSequence, "No TLS here"))
		return nil
	case c.secure:
		c.refuse(mta.Replyf(503, mta.BadSequence, "TLS is active already"))
		return nil
	case arg != "":
		c.refuse(mta.Replyf(501, mta.BadArgument, "STARTTLS takes no argument"))
		return nil
	case c.r.Buffered() > 0:
		c.log.Warn("plain text behind STARTTLS, connection closed", "octets", c.r.Buffered())
		c.reply(mta.Replyf(421, mta.TempSecurity, "Nothing may follow STARTTLS, closing the connection"))
		return errHangUp
	}
	c.reply(mta.Replyf(220, mta.OK, "Go ahead"))
	if err := c.w.Flush(); err != nil {
		return err
	}
	// RFC 3207, section 4.2: what was said before counts no more.
	c.reset()
	c.helo, c.extended = "", false
	if err := c.handshake(ctx); err != nil {
		c.log.Info("TLS handshake failed", "error", err)
		return errClosed
	}
	return nil
}
