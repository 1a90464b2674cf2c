package imapd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// pipeBuffer is what each direction of a pipe holds.
const pipeBuffer = 8 << 10

// pipe passes octets between the client and the node that serves it, beginning with what the client
// sent already, until one of them ends. When this server drains, the other node is told that the client
// sends no more, so that it can finish what it is at.
func (s *Server) pipe(c *conn, first []byte) error {
	s.c.Metrics.Proxied(1)
	defer s.c.Metrics.Proxied(-1)
	up := c.upstream
	if err := c.raw.SetDeadline(time.Time{}); err != nil {
		return errors.Join(err, up.Close())
	}
	c.Within(false)
	if c.isDraining() {
		c.drain() // the deadline was just taken off
	}
	if _, err := up.Write(first); err != nil {
		return errors.Join(fmt.Errorf("hand the connection over: %w", err), up.Close())
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.CopyBuffer(onlyWriter{up}, c.plain(), make([]byte, pipeBuffer)) // either end may close
		if half, ok := up.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // the other end may be gone
			return
		}
		_ = up.Close() // likewise
	}()
	_, err := io.CopyBuffer(onlyWriter{c}, onlyReader{up}, make([]byte, pipeBuffer))
	_ = up.Close()                             // nothing more comes
	_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // ends the other direction
	<-sent
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// onlyWriter and onlyReader keep io.CopyBuffer from using larger buffers of its own.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)
