package rpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// errReset is how a connection of a process that died ends.
var errReset error = syscall.ECONNRESET

// Dialer opens connections to nodes; transport.Transport gives one for each kind.
type Dialer func(ctx context.Context, node cluster.NodeID) (net.Conn, error)

// ClientConfig is what a Client works with.
type ClientConfig struct {
	Self cluster.NodeID
	// Local answers calls to Self, without the network.
	Local *Mux
	// DialCalls and DialStreams open connections for calls and for raw streams.
	DialCalls, DialStreams Dialer
	// Idle is how many unused connections are kept for each node; zero is 32.
	Idle int
	// IdleTime is how long an unused connection is kept; zero is a minute.
	IdleTime time.Duration
}

// Client calls methods of other nodes. A connection carries one call at a time; unused ones are
// kept for the next. It is safe for concurrent use.
type Client struct {
	cfg ClientConfig

	mu     sync.Mutex // guards what follows
	idle   map[cluster.NodeID][]*callConn
	closed bool
}

type callConn struct {
	net.Conn
	r     *bufio.Reader
	since time.Time // when it was last used
	used  bool      // whether it has carried a call before
}

// NewClient makes a client. It starts nothing.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Idle == 0 {
		cfg.Idle = 32
	}
	if cfg.IdleTime == 0 {
		cfg.IdleTime = time.Minute
	}
	return &Client{cfg: cfg, idle: map[cluster.NodeID][]*callConn{}}
}

// Call sends a request and waits for the response or the end of ctx. An *Error is the node's own
// answer. Where no answer came the error is cluster.ErrUnavailable, and whether the method ran is
// not known; the end of ctx is that too.
func (c *Client) Call(ctx context.Context, node cluster.NodeID, method string, body []byte) ([]byte, error) {
	if len(method) == 0 || len(method) > maxName {
		return nil, fmt.Errorf("call %q: the name of a method has 1 to %d bytes", method, maxName)
	}
	if node == c.cfg.Self {
		return c.cfg.Local.Dispatch(ctx, node, method, body)
	}
	if len(body) > MaxFrame-maxName-6 {
		return nil, fmt.Errorf("call %s of node %s with %d bytes: %w", method, node, len(body), cluster.ErrTooLarge)
	}
	conn, err := c.take(ctx, node)
	if err != nil {
		return nil, unreachable(method, node, err)
	}
	response, err := exchange(ctx, conn, conn.r, method, body, MaxFrame)
	if err == nil || errors.As(err, new(*Error)) {
		c.give(node, conn)
		return response, named(err, node)
	}
	_ = conn.Close()
	if conn.used {
		c.drop(node) // the others of the same age are most likely dead too
	}
	return nil, unreachable(method, node, err)
}

func unreachable(method string, node cluster.NodeID, err error) error {
	return fmt.Errorf("call %s of node %s: %w: %w", method, node, cluster.ErrUnavailable, err)
}

func named(err error, node cluster.NodeID) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		e.Node = node
	}
	return err
}

// Exchange makes one call over a connection that the caller opened, such as transport.DialJoin's. An
// *Error in return is the answer of the other side.
func Exchange(ctx context.Context, conn net.Conn, method string, body []byte) ([]byte, error) {
	return exchange(ctx, conn, bufio.NewReader(conn), method, body, JoinFrame)
}

func exchange(ctx context.Context, conn net.Conn, r *bufio.Reader, method string, body []byte, limit int) ([]byte, error) {
	wait := time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok {
		if wait = time.Until(deadline); wait <= 0 {
			return nil, context.DeadlineExceeded
		}
	}
	release := bind(ctx, conn)
	frame := request{wait: wait, method: method, body: body}.append(make([]byte, 0, len(body)+len(method)+16))
	_, err := conn.Write(frame)
	if err == nil {
		frame, err = readFrame(r, limit)
	}
	if bound := release(); err == nil && !bound {
		err = os.ErrDeadlineExceeded // answered at the very end; the connection's deadline is spoilt
	}
	if err != nil {
		return nil, err
	}
	code, response, err := parseResponse(frame)
	if err != nil {
		return nil, err
	}
	if code != codeOK {
		return nil, &Error{Code: code, Text: string(response)}
	}
	return response, nil
}

// bind makes reads and writes of conn fail when ctx ends. release undoes that and reports whether
// conn is as good as before.
func bind(ctx context.Context, conn net.Conn) (release func() bool) {
	deadline, _ := ctx.Deadline() // zero is none
	_ = conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() bool {
		if !stop() {
			return false
		}
		return conn.SetDeadline(time.Time{}) == nil
	}
}

// take gives an idle connection, or a new one.
func (c *Client) take(ctx context.Context, node cluster.NodeID) (*callConn, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, cluster.ErrStopped
	}
	idle := c.idle[node]
	if n := len(idle); n > 0 && time.Since(idle[n-1].since) < c.cfg.IdleTime {
		conn := idle[n-1]
		c.idle[node] = idle[:n-1]
		c.mu.Unlock()
		return conn, nil
	}
	delete(c.idle, node) // the last is the youngest: all are too old
	c.mu.Unlock()
	closeAll(idle)
	conn, err := c.cfg.DialCalls(ctx, node)
	if err != nil {
		return nil, err
	}
	return &callConn{Conn: conn, r: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// give keeps a connection for the next call.
func (c *Client) give(node cluster.NodeID, conn *callConn) {
	conn.since, conn.used = time.Now(), true
	c.mu.Lock()
	if !c.closed && len(c.idle[node]) < c.cfg.Idle {
		c.idle[node] = append(c.idle[node], conn)
		conn = nil
	}
	c.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

// drop closes the idle connections to a node.
func (c *Client) drop(node cluster.NodeID) {
	c.mu.Lock()
	idle := c.idle[node]
	delete(c.idle, node)
	c.mu.Unlock()
	closeAll(idle)
}

// Close closes the idle connections and refuses further calls with cluster.ErrStopped.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	all := c.idle
	c.idle = map[cluster.NodeID][]*callConn{}
	c.mu.Unlock()
	for _, idle := range all {
		closeAll(idle)
	}
	return nil
}

func closeAll(conns []*callConn) {
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// Open opens a raw stream to a service of a node. ctx bounds the opening only. The connection is
// the caller's to close.
func (c *Client) Open(ctx context.Context, node cluster.NodeID, service string) (net.Conn, error) {
	if len(service) == 0 || len(service) > maxName {
		return nil, fmt.Errorf("open %q: the name of a service has 1 to %d bytes", service, maxName)
	}
	conn, err := c.cfg.DialStreams(ctx, node)
	if err != nil {
		return nil, unreachable(service, node, err)
	}
	release := bind(ctx, conn)
	var frame []byte
	if _, err = conn.Write(appendOpen(nil, service)); err == nil {
		frame, err = readFrame(conn, 8<<10)
	}
	if bound := release(); err == nil && !bound {
		err = os.ErrDeadlineExceeded
	}
	var code Code
	if err == nil {
		code, frame, err = parseResponse(frame)
	}
	switch {
	case err != nil:
		_ = conn.Close()
		return nil, unreachable(service, node, err)
	case code != codeOK:
		_ = conn.Close()
		return nil, &Error{Node: node, Code: code, Text: string(frame)}
	}
	return conn, nil
}
