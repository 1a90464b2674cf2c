package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"
)

// newTransport makes the HTTP client's connections: nothing on them may be silent for longer than the
// timeout, however large the object is.
func newTransport(c Config) (*http.Transport, error) {
	dialer := net.Dialer{Timeout: min(c.Timeout, 10*time.Second)}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &restless{conn, c.Timeout}, nil
		},
		MaxIdleConnsPerHost:   16,
		TLSHandshakeTimeout:   min(c.Timeout, 10*time.Second),
		ResponseHeaderTimeout: c.Timeout,
		IdleConnTimeout:       c.Timeout / 2, // before restless ends it, perhaps in the middle of a request
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}
	if c.CA != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("the store's authorities are no certificates in PEM")
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return t, nil
}

// restless is a connection that breaks when nothing passes for a while.
type restless struct {
	net.Conn
	timeout time.Duration
}

// Read implements net.Conn.
func (r *restless) Read(p []byte) (int, error) {
	if err := r.SetReadDeadline(time.Now().Add(r.timeout)); err != nil {
		return 0, err
	}
	return r.Conn.Read(p)
}

// Write implements net.Conn. It puts off the end of a read too: an answer comes behind what is sent.
func (r *restless) Write(p []byte) (int, error) {
	if err := r.SetDeadline(time.Now().Add(r.timeout)); err != nil {
		return 0, err
	}
	return r.Conn.Write(p)
}
