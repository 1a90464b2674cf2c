// Package line is the connection to a filter: it is made within the filter's time, and whatever waits on it ends when that time is
// over. What is said on it is the protocols' matter.
package line

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/rookery-mail/rookery/mta/filter"
)

// Conn ends with the context that it was made with: reading and writing fail then. Deadlines of its own cannot be set.
type Conn struct {
	net.Conn
	stop func() bool
}

// Dial connects to the filter of a setting that has passed Check. The Conn must be closed.
func Dial(ctx context.Context, s *filter.Setting) (*Conn, error) {
	network, addr, err := s.Target()
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("connect to the filter: %w", Reason(ctx, err))
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // long over
	return &Conn{conn, stop}, nil
}

// Close ends the connection.
func (c *Conn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// SetDeadline does nothing: the time of the whole is set.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, as SetDeadline.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, as SetDeadline.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// ErrTime says that a filter did not answer within its time.
var ErrTime = errors.New("no answer in time")

// Reason is ErrTime for an error that comes of the end of ctx, and the error itself for others.
func Reason(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		return ErrTime
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
