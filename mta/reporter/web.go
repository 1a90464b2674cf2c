package reporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Web hands reports to URLs (RFC 8460, section 5.4). Whoever has a domain chooses the URL, so that it is asked of public
// addresses only, and redirects are not followed.
type Web struct{ client *http.Client }

// webPatience is how long handing over may take.
const webPatience = 30 * time.Second

// NewWeb makes a Web. allowed says which addresses may be connected to; nil: the public ones. transport has further
// settings; nil: none.
func NewWeb(allowed func(netip.Addr) bool, transport *http.Transport) *Web {
	if allowed == nil {
		allowed = public
	}
	if transport == nil {
		transport = &http.Transport{}
	}
	transport.Proxy, transport.DisableKeepAlives, transport.MaxResponseHeaderBytes = nil, true, 16<<10
	transport.DialContext = (&net.Dialer{Timeout: webPatience, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !allowed(a.Addr().Unmap()) {
			return fmt.Errorf("%w: %s is no public address", ErrRefused, a.Addr())
		}
		return nil
	}}).DialContext
	return &Web{&http.Client{Transport: transport, Timeout: webPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Post hands over a report. Errors are ErrRefused where it is of no use to try again.
func (w *Web) Post(ctx context.Context, url string, packed []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	r.Header.Set("Content-Type", tlsrpt.MediaGzip)
	answer, err := w.client.Do(r)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 4<<10)) // what it says does not matter
	_ = answer.Body.Close()
	switch {
	case answer.StatusCode/100 == 2:
		return nil
	case answer.StatusCode/100 == 5, answer.StatusCode == http.StatusTooManyRequests:
		return errors.New(answer.Status)
	}
	return fmt.Errorf("%w: %s", ErrRefused, answer.Status)
}

// internal are networks that are nobody's on the Internet, or lead elsewhere than they seem to.
func internal() []string {
	return []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"}
}

func public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range internal() {
		if netip.MustParsePrefix(p).Contains(a) {
			return false
		}
	}
	return true
}
