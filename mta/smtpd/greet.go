package smtpd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/proxy"
)

// errClosed ends a connection that has nothing left to say.
var errClosed = errors.New("closed")

// maxHelo is the longest name that a client may give itself (RFC 5321, section 4.5.3.1.2).
const maxHelo = 255

// greet says hello to the client.
func (c *conn) greet() {
	protocol := "ESMTP"
	if c.kind == LMTP {
		protocol = "LMTP"
	}
	c.reply(mta.Replyf(220, "", "%s %s Rookery", c.srv.c.Hostname, protocol))
}

// greeted asks the checks about a greeting.
func (c *conn) greeted(ctx context.Context, name string, extended bool) *mta.Reply {
	if c.session == nil {
		return nil
	}
	return c.session.Hello(ctx, name, extended, c.tlsState())
}

// hello answers EHLO, HELO and LHLO. All of them end a mail transaction (RFC 5321, section 4.1.4). An error ends the connection.
func (c *conn) hello(ctx context.Context, verb, arg string) error {
	name, _, _ := strings.Cut(arg, " ")
	switch {
	case (c.kind == LMTP) != (verb == "LHLO"):
		c.refuse(mta.Replyf(500, mta.BadSequence, "%s is not spoken here", verb))
		return nil
	case name == "" || len(name) > maxHelo:
		c.refuse(mta.Replyf(501, mta.BadArgument, "Syntax: %s hostname", verb))
		return nil
	}
	if err := c.hasty(); err != nil {
		return err
	}
	c.reset()
	if r := c.greeted(ctx, name, verb != "HELO"); r != nil {
		c.refuse(r)
		return nil
	}
	c.helo, c.extended = name, verb != "HELO"
	c.bounds = c.srv.c.Directory.Bounds()
	if !c.extended {
		c.reply(mta.Replyf(250, "", "%s", c.srv.c.Hostname))
		return nil
	}
	c.reply(&mta.Reply{Code: 250, Text: strings.Join(append([]string{c.srv.c.Hostname}, c.extensions()...), "\n")})
	return nil
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
	if c.mayXCLIENT() {
		list = append(list, "XCLIENT "+proxy.Attributes)
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
