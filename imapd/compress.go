package imapd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/rookery-mail/rookery/imapd/inflate"
)

// saidOctets is how much of what was written last the next is compressed against. It is what compression holds
// of the way out while the session waits.
const saidOctets = 4 << 10

// inflateBuffer is what is read at a time of a client that sends much.
const inflateBuffer = 4 << 10

// deflated is the compression of a connection (RFC 4978), both ways.
//
// On the way out each write is a piece of its own that ends at an octet: nothing is held back. It needs no memory
// between two of them but the end of what was said. On the way in package inflate gives what there is; bombs meet
// the limits of package wire, since no more is inflated than is read.
type deflated struct {
	in    inflate.Decoder
	one   [1]byte // where a session waits for the next octet
	large []byte  // nil while it does
	said  []byte
	out   bytes.Buffer
}

// Compress implements engine.Conn.
func (c *conn) Compress() { c.deflated = &deflated{} }

// Compressed implements engine.Conn.
func (c *conn) Compressed() bool { return c.deflated != nil }

// read inflates into p, reading compressed octets by src.
func (d *deflated) read(p []byte, src func([]byte) (int, error)) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := d.in.Read(p)
		if !errors.Is(err, inflate.ErrMore) {
			return n, corrupt(err)
		}
		buf := d.one[:]
		if len(p) == 1 {
			d.large = nil
		} else {
			if d.large == nil {
				d.large = make([]byte, inflateBuffer)
			}
			buf = d.large
		}
		if n, err = src(buf); n == 0 && err != nil {
			return 0, err
		}
		d.in.Feed(buf[:n])
	}
}

func corrupt(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("inflate what the client sends: %w", err)
}

// wait is conn.Wait of what is compressed: an octet that was read may only end what was given before.
func (d *deflated) wait(ctx context.Context, c *conn, changed <-chan struct{}) (bool, error) {
	for !d.in.Ready() {
		input, err := c.waitRaw(ctx, changed)
		if !input || err != nil {
			return false, err
		}
		n, err := c.readRaw(d.one[:])
		if n == 0 && err != nil {
			return false, err
		}
		d.in.Feed(d.one[:n])
	}
	return true, nil
}

// write compresses p and writes it by dst.
func (d *deflated) write(p []byte, dst func([]byte) (int, error)) (int, error) {
	d.out.Reset()
	if err := flate.StatelessDeflate(&d.out, p, false, d.said); err != nil {
		return 0, fmt.Errorf("compress a response: %w", err)
	}
	d.remember(p)
	_, err := dst(d.out.Bytes())
	if d.out.Cap() > inflateBuffer {
		d.out = bytes.Buffer{}
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// remember keeps the end of what was said.
func (d *deflated) remember(p []byte) {
	if keep := saidOctets - len(p); keep <= 0 {
		d.said, p = d.said[:0], p[len(p)-saidOctets:]
	} else if len(d.said) > keep {
		d.said = d.said[:copy(d.said, d.said[len(d.said)-keep:])]
	}
	d.said = append(d.said, p...)
}

// plain is what the client sends, inflated where it is compressed, without deadlines.
func (c *conn) plain() io.Reader {
	if c.deflated == nil {
		return onlyReader{c.nc}
	}
	return inflating{c}
}

// inflating is the way in of a compressed connection.
type inflating struct{ c *conn }

// Read implements io.Reader.
func (i inflating) Read(p []byte) (int, error) { return i.c.deflated.read(p, i.c.nc.Read) }
