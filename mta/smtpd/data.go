package smtpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/wire"
)

// data answers DATA. An error ends the connection.
func (c *conn) data(ctx context.Context, arg string) error {
	switch {
	case arg != "":
		c.refuse(mta.Replyf(501, mta.BadArgument, "DATA takes no argument"))
		return nil
	case c.mail == nil || len(c.mail.rcpts) == 0:
		c.refuse(mta.Replyf(503, mta.BadSequence, "No recipients"))
		return nil
	case c.mail.arriving != nil:
		c.refuse(mta.Replyf(503, mta.BadSequence, "The message has begun with BDAT"))
		return nil
	}
	c.reply(mta.Replyf(354, "", "Go ahead, end with <CR><LF>.<CR><LF>"))
	c.startArrival(ctx)
	if err := c.receive(wire.NewData(c.r)); err != nil {
		return err
	}
	c.deliver(ctx)
	return nil
}

// bdat answers BDAT (RFC 3030). The chunk is read whatever the reply. An error ends the connection,
// as a size that cannot be read must: where the next command starts is not known then.
func (c *conn) bdat(ctx context.Context, arg string) error {
	words := strings.Fields(arg)
	last := len(words) == 2 && strings.EqualFold(words[1], "LAST")
	if len(words) == 0 || len(words) > 2 || len(words) == 2 && !last {
		c.reply(mta.Replyf(501, mta.BadArgument, "Syntax: BDAT size [LAST], closing the connection"))
		return errHangUp
	}
	size, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || size < 0 {
		c.reply(mta.Replyf(501, mta.BadArgument, "The size is not a number, closing the connection"))
		return errHangUp
	}
	if c.mail == nil || len(c.mail.rcpts) == 0 {
		return c.skipChunk(size)
	}
	if c.mail.arriving == nil {
		c.startArrival(ctx)
	}
	a := c.mail.arriving
	if err := c.receive(wire.NewChunk(c.r, size)); err != nil {
		return err
	}
	switch {
	case last:
		c.deliver(ctx)
	case a.err != nil:
		// Chunks that follow are refused for want of a transaction.
		c.refuseMessage(a.err, false)
	default:
		c.reply(mta.Replyf(250, mta.OK, "%d octets", size))
	}
	return nil
}

// skipChunk reads a chunk away that comes without a transaction.
func (c *conn) skipChunk(size int64) error {
	if size > 2*c.bounds.MaxMessage {
		c.reply(mta.Replyf(552, mta.TooBig, "The chunk is too large, closing the connection"))
		return errHangUp
	}
	c.wait = c.srv.c.Limits.Data
	c.until = time.Now().Add(c.srv.c.Limits.Message)
	if _, err := io.Copy(io.Discard, wire.NewChunk(c.r, size)); err != nil {
		return err
	}
	c.refuse(mta.Replyf(503, mta.BadSequence, "No recipients"))
	return nil
}

// startArrival makes ready for the octets of the message.
func (c *conn) startArrival(ctx context.Context) {
	c.mail.arriving = &arrival{
		limit: c.bounds.MaxMessage,
		until: time.Now().Add(c.srv.c.Limits.Message),
		ends:  wire.LineEnds{Repair: c.kind != MX},
		keeps: c.session != nil,
		open:  func(header []byte) (sink, error) { return c.openSink(ctx, header) },
	}
}

// receive takes the octets of r. An error ends the connection, and the message with it.
func (c *conn) receive(r io.Reader) error {
	buffer := c.srv.buffers.Get().(*[]byte)
	defer c.srv.buffers.Put(buffer)
	a := c.mail.arriving
	c.wait, c.until = c.srv.c.Limits.Data, a.until
	err := a.copyFrom(r, *buffer)
	c.mail.received = c.srv.c.Clock()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errHangUp):
		c.refuseMessage(a.err, c.kind == LMTP)
		return err
	}
	c.logTransaction(nil, fmt.Errorf("receive the message: %w", err))
	return err
}

// openSink checks the header and starts the message: in the store, or in the spool where there is somebody to ask first.
func (c *conn) openSink(ctx context.Context, header []byte) (sink, error) {
	if r := c.checkLoop(header); r != nil {
		return nil, r
	}
	c.mail.env.TLSOptional = !c.mail.env.RequireTLS && wire.TLSOptional(header)
	if c.session != nil {
		return c.srv.c.Spool.New(), nil
	}
	return c.openStore(ctx, header)
}

// openStore starts the message in the store, behind our trace fields.
func (c *conn) openStore(ctx context.Context, header []byte) (Incoming, error) {
	accounts := c.mail.accounts()
	if c.mail.onward() > 0 {
		owner, err := c.owner()
		if err != nil {
			return nil, fmt.Errorf("find who has what is sent on: %w", err)
		}
		if c.mail.owner = owner; !slices.Contains(accounts, owner) {
			accounts = append(accounts, owner)
		}
	}
	return c.srv.c.Store.NewIncoming(ctx, accounts, c.trace(header)), nil
}

// trace gives the fields to put in front of the message: Return-Path and Received (RFC 5321, section
// 4.4) and, for submissions, those that the client left out (RFC 6409, section 8).
func (c *conn) trace(header []byte) []byte {
	t := c.mail
	protocol := mta.SMTP
	switch {
	case c.kind == LMTP:
		protocol = mta.LMTP
	case c.extended:
		protocol = mta.ESMTP
	}
	rec := mta.Received{
		Helo:   c.helo,
		Remote: c.remote,
		By:     c.srv.c.Hostname,
		With:   mta.With(protocol, c.secure, c.login != "", t.env.UTF8),
		ID:     t.id,
		TLS:    c.tlsWords(),
		Time:   t.started,

		Priority: t.env.Priority,
	}
	if c.kind.submits() {
		rec.Helo, rec.Remote = "", netip.Addr{}
	}
	if len(t.rcpts) == 1 {
		rec.For = t.rcpts[0].Address
	}
	fields := append(c.marked(mta.ReturnPath(t.env.From)), rec.Field()...)
	if c.kind.submits() {
		fields = c.complete(fields, header)
	}
	fields = append(fields, t.verdict.Fields...)
	if !wire.StartsWithField(header) && !bytes.HasPrefix(header, []byte("\r\n")) {
		// Without this line the first of the body would continue our header.
		fields = append(fields, "\r\n"...)
	}
	return fields
}

// complete appends the fields that a submission must have and header does not.
func (c *conn) complete(fields, header []byte) []byte {
	t := c.mail
	if wire.CountField(header, "date") == 0 {
		fields = append(fields, "Date: "+mta.Date(t.started)+"\r\n"...)
	}
	if wire.CountField(header, "message-id") == 0 {
		fields = append(fields, "Message-ID: <"+string(t.id)+"@"+c.srv.c.Hostname+">\r\n"...)
	}
	return fields
}
