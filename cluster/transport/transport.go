// Package transport is the one port through which nodes of a cluster talk: TLS with certificates of
// the cluster's authority on both ends, and on each connection a header that tells what it is for
// (Raft of a group, the heartbeats or the entries of all groups, calls, a raw stream, a join). It gives each Raft group a
// raft.Transport and hands everything else to the handler of its kind. It knows nothing of what the
// streams say, and does not pool: hashicorp/raft and cluster/rpc each pool their own.
//
// A connection carries one stream; its setup costs little, since TLS sessions are resumed.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/transport/entries"
	"github.com/rookery-mail/rookery/cluster/transport/heartbeat"
)

// Identity is what the transport needs of certs.Identity.
type Identity interface {
	ServerTLS() *tls.Config
	ClientTLS() *tls.Config
	// PeerOf names the node at the other end, ok false where it showed no certificate.
	PeerOf(tls.ConnectionState) (node cluster.NodeID, ok bool)
}

// Handler serves one stream and returns when it is done with it; conn is closed for it afterwards.
// peer is empty only for KindJoin. ctx ends when the transport closes; conn is closed then too.
type Handler func(ctx context.Context, peer cluster.NodeID, conn net.Conn)

// Config is what a Transport works with.
type Config struct {
	Self     cluster.NodeID
	Identity Identity
	// Listener is owned by the Transport from New on.
	Listener net.Listener
	// Resolve gives the address of a node, ok false where it is not known.
	Resolve func(cluster.NodeID) (address string, ok bool)
	// Authorize is asked about each verified peer in either direction; false ends the connection.
	// It is how a removed node loses access. Nil allows every node of the cluster.
	Authorize func(cluster.NodeID) bool
	// Dial opens a TCP connection; nil is BoundDialer of the Listener's address. Tests put faults here.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// SetupTimeout bounds dialling, the TLS handshake and the header; zero is 5 s.
	SetupTimeout time.Duration
	// HeartbeatTick is what heartbeats of all groups wait for to go together, or for every second one; zero is 100 ms.
	HeartbeatTick time.Duration
	Logger        *slog.Logger
}

// Transport is a node's end of the cluster's network.
type Transport struct {
	cfg       Config
	serverTLS *tls.Config
	clientTLS *tls.Config

	ctx context.Context // of the handlers and of Raft's dials, which bring none

	cancel context.CancelFunc

	mu       sync.Mutex // guards what follows
	handlers map[Kind]Handler
	layers   map[cluster.GroupID]*Layer
	conns    map[*Conn]struct{}
	closed   bool

	beats   *heartbeat.Exchange
	entries *entries.Exchange
	running sync.WaitGroup // of accepted connections being served
}

// New makes a transport over cfg.Listener. It accepts nothing before Serve, but dials at once. The end
// of ctx closes it.
func New(ctx context.Context, cfg Config) *Transport {
	if cfg.SetupTimeout == 0 {
		cfg.SetupTimeout = 5 * time.Second
	}
	if cfg.Dial == nil {
		cfg.Dial = BoundDialer(cfg.Listener.Addr())
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &Transport{
		cfg: cfg, serverTLS: cfg.Identity.ServerTLS(), clientTLS: cfg.Identity.ClientTLS(),
		ctx: ctx, cancel: cancel,
		handlers: map[Kind]Handler{},
		layers:   map[cluster.GroupID]*Layer{},
		conns:    map[*Conn]struct{}{},
	}
	t.beats = heartbeat.New(ctx, heartbeat.Config{Tick: cfg.HeartbeatTick, Logger: cfg.Logger,
		Dial: func(ctx context.Context, node cluster.NodeID) (net.Conn, error) {
			return t.Dial(ctx, node, KindHeartbeat)
		}})
	t.entries = entries.New(ctx, entries.Config{Timeout: raftTimeout, Logger: cfg.Logger,
		Dial: func(ctx context.Context, node cluster.NodeID) (net.Conn, error) {
			return t.Dial(ctx, node, KindEntries)
		}})
	t.handlers[KindHeartbeat] = t.beats.Serve
	t.handlers[KindEntries] = t.entries.Serve
	context.AfterFunc(ctx, t.shut)
	return t
}

// BoundDialer dials TCP from the IP address of listener where that is a specific one, so that
// whoever looks at the connection can tell which node called.
func BoundDialer(listener net.Addr) func(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: 15 * time.Second}
	if tcp, ok := listener.(*net.TCPAddr); ok && !tcp.IP.IsUnspecified() {
		dialer.LocalAddr = &net.TCPAddr{IP: tcp.IP, Zone: tcp.Zone}
	}
	return func(ctx context.Context, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", address)
	}
}

// Handle sets the handler of a kind; KindRaft has its own (StreamLayer), KindHeartbeat and KindEntries are
// served from the beginning. It is called before Serve.
func (t *Transport) Handle(kind Kind, handler Handler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handlers[kind] = handler
}

// Addr is the address the transport listens on.
func (t *Transport) Addr() net.Addr { return t.cfg.Listener.Addr() }

// Serve accepts connections until the transport is closed, and returns once every handler has
// returned. The error is nil after such an end.
func (t *Transport) Serve() error {
	err := t.accept()
	_ = t.Close()
	return err
}

func (t *Transport) accept() error {
	delay := time.Duration(0)
	for {
		raw, err := t.cfg.Listener.Accept()
		if err == nil {
			delay = 0
			if !t.begin() {
				_ = raw.Close()
				return nil
			}
			go func() {
				defer t.running.Done()
				t.serveConn(raw)
			}()
			continue
		}
		if t.ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept on %v: %w", t.Addr(), err)
		}
		// Out of file descriptors, most likely: it passes, a node that stops listening does not.
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		t.cfg.Logger.Warn("cannot accept a connection", "address", t.Addr().String(), "error", err)
		select {
		case <-time.After(delay):
		case <-t.ctx.Done():
			return nil
		}
	}
}

// begin counts a served connection, unless the transport is closed.
func (t *Transport) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.running.Add(1)
	return true
}

// Close closes the listener and every connection, and waits for the handlers. Groups are to be
// closed before, they need the network to hand over their leadership.
func (t *Transport) Close() error {
	t.shut()
	t.beats.Close()
	t.entries.Close()
	t.running.Wait()
	return nil
}

func (t *Transport) shut() {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	t.closed = true
	conns := make([]*Conn, 0, len(t.conns))
	for c := range t.conns {
		conns = append(conns, c)
	}
	layers := make([]*Layer, 0, len(t.layers))
	for _, l := range t.layers {
		layers = append(layers, l)
	}
	t.mu.Unlock()

	t.cancel()
	_ = t.cfg.Listener.Close()
	for _, l := range layers {
		_ = l.Close()
	}
	for _, c := range conns {
		_ = c.Close()
	}
}
