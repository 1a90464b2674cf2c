package fetch_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta/certtest"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/mtasts/fetch"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const policy = "version: STSv1\nmode: enforce\nmx: mx.one.example\nmax_age: 86400\n"

// TestFetch: what hosts answer, and what is made of it.
func TestFetch(t *testing.T) {
	ca, other := certtest.New(t), certtest.New(t)
	const host = "mta-sts.one.example"
	text := func(media, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Host != host || r.URL.Path != "/.well-known/mta-sts.txt" || r.Method != http.MethodGet {
				http.Error(w, "another question", http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", media)
			_, _ = w.Write([]byte(body))
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://mta-sts.one.example/.well-known/mta-sts.txt?again")
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(policy))
		}
	}
	endless := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		line := []byte(strings.Repeat("x", 1023) + "\n")
		for range 10 << 10 { // 10 MiB
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, c := range map[string]struct {
		domain  string
		cert    tls.Certificate
		handler http.HandlerFunc
		failure tlsrpt.Failure // empty: the policy comes
	}{
		"a policy":          {"one.example", ca.Host(host), text("text/plain; charset=utf-8", policy), ""},
		"HTML":              {"one.example", ca.Host(host), text("text/html", policy), tlsrpt.STSPolicyFetchError},
		"no type":           {"one.example", ca.Host(host), text("", policy), tlsrpt.STSPolicyFetchError},
		"a redirect":        {"one.example", ca.Host(host), status(http.StatusMovedPermanently), tlsrpt.STSPolicyFetchError},
		"another redirect":  {"one.example", ca.Host(host), status(http.StatusTemporaryRedirect), tlsrpt.STSPolicyFetchError},
		"not found":         {"one.example", ca.Host(host), status(http.StatusNotFound), tlsrpt.STSPolicyFetchError},
		"created":           {"one.example", ca.Host(host), status(http.StatusCreated), tlsrpt.STSPolicyFetchError},
		"10 MiB":            {"one.example", ca.Host(host), endless, tlsrpt.STSPolicyFetchError},
		"silence":           {"one.example", ca.Host(host), silent, tlsrpt.STSPolicyFetchError},
		"another name":      {"one.example", ca.Host("www.one.example"), text("text/plain", policy), tlsrpt.STSWebPKIInvalid},
		"expired":           {"one.example", ca.Expired(host), text("text/plain", policy), tlsrpt.STSWebPKIInvalid},
		"another authority": {"one.example", other.Host(host), text("text/plain", policy), tlsrpt.STSWebPKIInvalid},
		"self-signed":       {"one.example", certtest.SelfSigned(t, host), text("text/plain", policy), tlsrpt.STSWebPKIInvalid},
		"no such host":      {"two.example", ca.Host(host), text("text/plain", policy), tlsrpt.STSPolicyFetchError},
		"no domain":         {"one.example/x?", ca.Host(host), text("text/plain", policy), tlsrpt.STSPolicyFetchError},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(c.handler)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{c.cert}}
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			defer server.Close()
			z := new(dnstest.Zone)
			z.Add("mta-sts.one.example. 60 IN A 192.0.2.1\nmta-sts.one.example. 60 IN AAAA 2001:db8::1")
			wait := time.Minute
			if name == "silence" {
				wait = 50 * time.Millisecond
			}
			f := fetch.New(fetch.Config{
				Resolver: dns.New(dns.Config{Servers: []string{"test"}, Exchange: z.Exchange}), Roots: ca.Pool(), Timeout: wait,
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					if address != "192.0.2.1:443" {
						return nil, errors.New("connection refused")
					}
					return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
				},
			})
			got, err := f.Fetch(context.Background(), c.domain)
			var e *fetch.Error
			switch {
			case c.failure == "" && (err != nil || string(got) != policy):
				t.Errorf("%q, %v", got, err)
			case c.failure != "" && (!errors.As(err, &e) || e.Failure != c.failure):
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
