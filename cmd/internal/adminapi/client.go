package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
)

// Client speaks the admin API, by the node's socket.
type Client struct {
	http *http.Client
	base string
}

// Dial returns a client for the socket at path. It does not connect yet.
func Dial(path string) *Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
			return nil, fmt.Errorf("no node answers on %s: start it with `rookery serve`", path)
		case errors.Is(err, os.ErrPermission):
			return nil, fmt.Errorf("%s is not yours to use: run this as root or as the user of the node", path)
		}
		return conn, err
	}}
	return &Client{http: &http.Client{Transport: transport}, base: "http://node"}
}

// Do sends in as JSON (nothing when nil) and reads the answer into out (unless nil). An answer of
// 4xx or 5xx is an error with the node's words.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return read(resp, out)
}

// send sends in as JSON. The caller closes the answer's body.
func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	resp, err := c.http.Do(req)
	var ue *url.Error
	if errors.As(err, &ue) {
		return nil, ue.Err
	}
	return resp, err
}

func read(resp *http.Response, out any) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		var f failure
		if json.Unmarshal(data, &f) != nil || f.Error == "" {
			f.Error = fmt.Sprintf("the node answered %s: %s", resp.Status, bytes.TrimSpace(data))
		}
		return errors.New(f.Error)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}
