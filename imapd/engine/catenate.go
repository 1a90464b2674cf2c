package engine

import (
	"context"
	"errors"
	"io"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// catenating puts a message together of parts (RFC 4469). It holds one buffer whatever their sizes.
type catenating struct {
	*appending
	to      io.Writer
	size    int64 // octets so far
	spoiled error // the first; the parts behind it are read and dropped
}

// catenate takes in the parts of a message. As with take, spoiled is of the message; err ends the command.
func (ap *appending) catenate(ctx context.Context, a *wire.Append, to io.Writer) (spoiled, err error) {
	c := catenating{appending: ap, to: to}
	for {
		p, more, err := c.r.Part(a)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		if p.Text {
			if err := c.text(a); err != nil {
				return nil, err
			}
		} else if c.spoiled == nil {
			c.spoiled = c.url(ctx, p.URL)
		}
	}
	if c.spoiled == nil && c.size == 0 {
		c.spoiled = errEmptyAppend
	}
	return c.spoiled, nil
}

// grow counts n more octets, unless the message gets too large.
func (c *catenating) grow(n int64) error {
	if n > c.c.MaxMessage-c.size {
		return index.ErrTooLarge
	}
	c.size += n
	return nil
}

// text takes in octets that the client sends. Once the message is spoiled they are not asked for, which ends
// the command, or dropped where they come unasked.
func (c *catenating) text(a *wire.Append) error {
	if c.spoiled == nil {
		c.spoiled = c.grow(a.Literal.Size)
	}
	if c.spoiled != nil && !a.Literal.NonSync {
		return c.spoiled
	}
	if c.spoiled != nil && a.Literal.Size > c.c.MaxMessage {
		return wire.ErrOutOfSync
	}
	body, err := c.r.Accept(a)
	if err != nil {
		return broken(err)
	}
	to := c.to
	if c.spoiled != nil {
		to = io.Discard
	}
	spoiled, err := c.receive(to, body)
	if c.spoiled == nil {
		c.spoiled = spoiled
	}
	return err
}

// url copies what a URL names.
func (c *catenating) url(ctx context.Context, text string) (err error) {
	part, err := c.openURL(ctx, text)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, part.Close()) }()
	if err := c.grow(part.Size()); err != nil {
		return err
	}
	buf := make([]byte, 16<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := part.Read(buf)
		if n > 0 {
			if _, err := c.to.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// wrongParts answers parts that could not be read; other errors stay what they are.
func wrongParts(err error) (reply, error) {
	wrong, ok := errors.AsType[*wire.SyntaxError](err)
	switch {
	case !ok:
		return reply{}, err
	case wrong.TooBig:
		return reply{kind: wire.NO, code: "TOOBIG", text: wrong.Text}, nil
	}
	return bad(wrong.Text), nil
}
