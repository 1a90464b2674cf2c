// Package fetch gets MTA-STS policies from where domains publish them (RFC 8461, section 3.3): by HTTPS, of the host
// mta-sts.DOMAIN and no other, within bounds of time and size. It keeps nothing; mta/mtasts/cache does.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/mtasts"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Resolver finds the addresses of a host; *dns.Resolver is one.
type Resolver interface {
	Addresses(ctx context.Context, host string) (dns.Addresses, error)
}

// Config says how policies are fetched. Resolver is required.
type Config struct {
	Resolver Resolver
	Roots    *x509.CertPool // authorities that vouch for hosts; nil: those of the system
	Timeout  time.Duration  // of all of it; 60 seconds
	// Dial connects to a host. Nil: TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Fetcher is for any number of goroutines.
type Fetcher struct {
	c    Config
	http http.Client
}

// New makes a Fetcher.
func New(c Config) *Fetcher {
	if c.Timeout <= 0 {
		c.Timeout = time.Minute
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	f := &Fetcher{c: c}
	f.http = http.Client{
		Transport: &http.Transport{
			DialContext: f.dial, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10,
			TLSClientConfig: &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return f
}

// Error is why there is no policy to be had.
type Error struct {
	Failure tlsrpt.Failure // as reports have it
	Err     error
}

// Error says why.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fetch gets the text of a domain's policy, of at most mtasts.MaxPolicy octets. An error is an *Error.
func (f *Fetcher) Fetch(ctx context.Context, domain string) ([]byte, error) {
	u := url.URL{Scheme: "https", Host: "mta-sts." + domain, Path: "/.well-known/mta-sts.txt"}
	text, err := f.get(ctx, u.String())
	if err == nil {
		return text, nil
	}
	e := &Error{tlsrpt.STSPolicyFetchError, fmt.Errorf("fetch the MTA-STS policy of %s: %w", domain, err)}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		e.Failure = tlsrpt.STSWebPKIInvalid
	}
	return nil, e
}

func (f *Fetcher) get(ctx context.Context, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := f.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK { // redirects neither (RFC 8461, section 3.3)
		return nil, fmt.Errorf("the host answers %s", resp.Status)
	}
	if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || media != "text/plain" {
		return nil, fmt.Errorf("it is %.100q and not text/plain", resp.Header.Get("Content-Type"))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, mtasts.MaxPolicy+1))
	if err != nil {
		return nil, err
	}
	if len(text) > mtasts.MaxPolicy {
		return nil, fmt.Errorf("it has more than %d octets", mtasts.MaxPolicy)
	}
	return text, nil
}

// dial connects to one of the addresses of a host, as our resolvers know them.
func (f *Fetcher) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	found, err := f.c.Resolver.Addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("%s has no address", host)
	for _, list := range [][]netip.Addr{found.V6, found.V4} {
		for _, a := range list {
			var conn net.Conn
			if conn, err = f.c.Dial(ctx, network, netip.AddrPortFrom(a, uint16(number)).String()); err == nil {
				return conn, nil
			}
		}
	}
	return nil, err
}
