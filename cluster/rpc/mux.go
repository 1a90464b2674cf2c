package rpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// Method answers calls. peer is the verified caller, empty on a Mux that serves joining nodes. ctx
// ends when the caller has stopped waiting or the transport closes. request is the Method's to keep.
type Method func(ctx context.Context, peer cluster.NodeID, request []byte) (response []byte, err error)

// Service serves one raw stream; conn is closed for it when it returns.
type Service func(ctx context.Context, peer cluster.NodeID, conn net.Conn)

// MaxFrame is the frame limit of a Mux and a Client between members, in bytes: some way above the
// largest command, so that reads can travel in useful pieces.
const MaxFrame = 4 << 20

// JoinFrame is the limit for callers that have not shown a certificate.
const JoinFrame = 64 << 10

// Mux holds what a node answers: methods by name, and services by name. Its Serve functions are
// transport handlers. A Mux for joining nodes is another one, with nothing on it but what they may do.
type Mux struct {
	limit  int
	logger *slog.Logger

	mu       sync.RWMutex // guards what follows
	methods  map[string]Method
	services map[string]Service
}

// NewMux makes an empty Mux that reads frames of at most limit bytes (MaxFrame or JoinFrame).
func NewMux(limit int, logger *slog.Logger) *Mux {
	return &Mux{limit: limit, logger: logger, methods: map[string]Method{}, services: map[string]Service{}}
}

// Register adds a method. A name is given once, and has at most 255 bytes.
func (m *Mux) Register(name string, method Method) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.methods[name]; taken || name == "" || len(name) > maxName {
		panic("rpc: method name taken or too long: " + name)
	}
	m.methods[name] = method
}

// RegisterService adds a service for raw streams, under the rules of Register.
func (m *Mux) RegisterService(name string, service Service) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.services[name]; taken || name == "" || len(name) > maxName {
		panic("rpc: service name taken or too long: " + name)
	}
	m.services[name] = service
}

// Dispatch runs a method in this process.
func (m *Mux) Dispatch(ctx context.Context, peer cluster.NodeID, name string, request []byte) (response []byte, err error) {
	m.mu.RLock()
	method := m.methods[name]
	m.mu.RUnlock()
	if method == nil {
		return nil, fmt.Errorf("call %q: %w", name, ErrUnknownMethod)
	}
	// One request that trips over a bug must not take every mailbox of the node down with it.
	defer func() {
		if p := recover(); p != nil {
			m.logger.Error("a method panicked", "method", name, "panic", p, "stack", string(debug.Stack()))
			response, err = nil, fmt.Errorf("method %s panicked: %v", name, p)
		}
	}()
	return method(ctx, peer, request)
}

// ServeCalls is the transport.Handler of calls: it answers requests one after the other until the
// caller closes.
func (m *Mux) ServeCalls(ctx context.Context, peer cluster.NodeID, conn net.Conn) {
	r := bufio.NewReaderSize(conn, 16<<10)
	for {
		frame, err := readFrame(r, m.limit)
		if err == nil {
			err = m.answer(ctx, peer, conn, frame)
		}
		if err != nil {
			if !orderly(err) && ctx.Err() == nil {
				m.logger.Warn("closed a connection for calls", "peer", string(peer), "error", err)
			}
			return
		}
	}
}

func (m *Mux) answer(ctx context.Context, peer cluster.NodeID, conn net.Conn, frame []byte) error {
	q, err := parseRequest(frame)
	if err != nil {
		return err
	}
	if q.wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.wait)
		defer cancel()
	}
	body, err := m.Dispatch(ctx, peer, q.method, q.body)
	return respond(conn, m.limit, body, err)
}

// writeTimeout bounds how long a response waits for a caller that does not read.
const writeTimeout = 30 * time.Second

func respond(conn net.Conn, limit int, body []byte, err error) error {
	code := codeOK
	if err == nil && len(body) > limit-2 {
		err = fmt.Errorf("response of %d bytes, %d are allowed: %w", len(body), limit-2, cluster.ErrTooLarge)
	}
	if err != nil {
		code, body = codeOf(err), []byte(err.Error())
		body = body[:min(len(body), 4<<10)]
	}
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := conn.Write(appendResponse(make([]byte, 0, len(body)+8), code, body)); err != nil {
		return fmt.Errorf("send response: %w", err)
	}
	return nil
}

// orderly reports whether err is how connections usually end.
func orderly(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errReset)
}

// ServeStreams is the transport.Handler of raw streams: it reads which service is wanted and hands
// the connection over.
func (m *Mux) ServeStreams(ctx context.Context, peer cluster.NodeID, conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(writeTimeout))
	frame, err := readFrame(conn, maxName+2)
	if err != nil {
		return
	}
	name, err := parseOpen(frame)
	m.mu.RLock()
	service := m.services[name]
	m.mu.RUnlock()
	if err == nil && service == nil {
		err = fmt.Errorf("open a stream to %q: %w", name, ErrUnknownMethod)
	}
	if respond(conn, m.limit, nil, err) != nil || err != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	service(ctx, peer, conn)
}
