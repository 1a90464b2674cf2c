// Package passage lets the node that runs a queue connect to hosts from an address that another node has: the other node
// makes the TCP connection and passes octets on, both ways. What is said, and TLS with the host, stays with the node
// that runs the queue. It listens to nobody: streams between nodes are the cluster's.
package passage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/mta/remote"
)

// Service is the name of the service at the node that has the address.
const Service = "smtp.passage"

// Opener opens streams to services of nodes; *rpc.Client is one.
type Opener interface {
	Open(ctx context.Context, node cluster.NodeID, service string) (net.Conn, error)
}

// Dial connects to a host from an address of another node. Where that node cannot be reached, or does not have the address,
// the error is remote.ErrSource.
func Dial(ctx context.Context, o Opener, from remote.Source, to netip.AddrPort) (net.Conn, error) {
	conn, err := o.Open(ctx, from.Node, Service)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", remote.ErrSource, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = ask(ctx, conn, request{from: from.Address, to: to})
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// ask has the other node connect.
func ask(ctx context.Context, conn net.Conn, q request) error {
	if deadline, ok := ctx.Deadline(); ok {
		q.wait = time.Until(deadline)
	}
	if _, err := conn.Write(q.append(nil)); err != nil {
		return fmt.Errorf("%w: %w", remote.ErrSource, err)
	}
	a, err := readAnswer(conn)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err() // the host was slow, for all that is known
	case err != nil:
		return fmt.Errorf("%w: %w", remote.ErrSource, err)
	case a.code == noSource:
		return fmt.Errorf("%w: %s", remote.ErrSource, a.text)
	case a.code != connected:
		return errors.New(a.text)
	}
	return nil
}

// Gate is the node that has addresses.
type Gate struct {
	// Mine reports whether mail may go out by an address of this node.
	Mine func(netip.Addr) bool
	// Dial connects; remote.DialFrom.
	Dial func(ctx context.Context, from remote.Source, to netip.AddrPort) (net.Conn, error)
}

// askedWithin is how long a node may take to say where it wants to connect, and connecting may take at most.
const askedWithin = time.Minute

// Serve answers one stream: it connects, and passes octets on until one side ends or ctx does. The caller closes conn.
func (g *Gate) Serve(ctx context.Context, conn net.Conn) {
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	_ = conn.SetDeadline(time.Now().Add(askedWithin))
	q, err := readRequest(conn)
	if err != nil {
		return // not a peer that understands an answer
	}
	host, a := g.connect(ctx, q)
	if _, err := conn.Write(a.append(nil)); err != nil || host == nil {
		if host != nil {
			_ = host.Close()
		}
		return
	}
	_ = conn.SetDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { _ = host.Close() })()
	pass(conn, host)
}

// connect makes the connection that was asked for.
func (g *Gate) connect(ctx context.Context, q request) (net.Conn, answer) {
	if !g.Mine(q.from) {
		return nil, answer{noSource, fmt.Sprintf("mail does not go out by %s of this node", q.from)}
	}
	wait := askedWithin
	if q.wait > 0 {
		wait = min(wait, q.wait)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	host, err := g.Dial(ctx, remote.Source{Address: q.from}, q.to)
	switch {
	case errors.Is(err, remote.ErrSource):
		return nil, answer{noSource, err.Error()}
	case err != nil:
		return nil, answer{noHost, err.Error()}
	}
	return host, answer{code: connected}
}

// pass passes octets on between two connections until one of them ends, and closes both.
func pass(a, b net.Conn) {
	var g errgroup.Group
	one := func(to, from net.Conn) func() error {
		return func() error {
			_, err := io.Copy(to, from)
			_, _ = a.Close(), b.Close()
			return err
		}
	}
	g.Go(one(a, b))
	g.Go(one(b, a))
	_ = g.Wait() // how either ended is known to those who use it
}
