package stores

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// proxy stands in front of a store and makes its answers late.
type proxy struct {
	listener net.Listener
	store    string // address
	delay    atomic.Int64
	ended    context.Context
	end      context.CancelFunc
	wait     sync.WaitGroup
}

// newProxy listens on a port of its own until close, however long ctx lasts.
func newProxy(ctx context.Context, store string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, store: store}
	p.ended, p.end = context.WithCancel(context.WithoutCancel(ctx))
	p.wait.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			p.wait.Go(func() { p.serve(client) })
		}
	})
	return p, nil
}

// serve passes on what goes to and fro until either side ends. A store that is away ends the connection.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	store, err := new(net.Dialer).DialContext(p.ended, "tcp", p.store)
	if err != nil {
		return
	}
	defer store.Close()
	defer context.AfterFunc(p.ended, func() {
		_ = client.Close()
		_ = store.Close()
	})()
	var asked atomic.Bool // something was sent since the last answer
	var wait sync.WaitGroup
	wait.Go(func() {
		defer store.Close()
		_, _ = io.Copy(&marked{store, &asked}, client) // either end breaks it
	})
	_, _ = io.Copy(client, &late{store, p, &asked}) // as above
	_ = client.Close()
	wait.Wait()
}

// marked notes that something was sent.
type marked struct {
	io.Writer
	asked *atomic.Bool
}

// Write implements io.Writer.
func (m *marked) Write(b []byte) (int, error) {
	m.asked.Store(true)
	return m.Writer.Write(b)
}

// late holds the first octets of each answer back.
type late struct {
	io.Reader
	proxy *proxy
	asked *atomic.Bool
}

// Read implements io.Reader.
func (l *late) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if d := time.Duration(l.proxy.delay.Load()); d > 0 && l.asked.Swap(false) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.proxy.ended.Done():
		}
	}
	return n, err
}

// close ends all connections and waits.
func (p *proxy) close() {
	p.end()
	_ = p.listener.Close()
	p.wait.Wait()
}
