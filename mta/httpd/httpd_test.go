package httpd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta/httpd"
	"github.com/rookery-mail/rookery/mta/reportbox"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// TestDoor: what is asked, and what it is answered.
func TestDoor(t *testing.T) {
	defer goleak.VerifyNone(t)
	var taken []byte
	var refuse error
	s := httpd.New(httpd.Config{
		Policy: func(domain string) string { return map[string]string{"example.org": "version: STSv1\r\n"}[domain] },
		Report: func(_ context.Context, data []byte, how string) error {
			if how != "https from 127.0.0.1" {
				t.Errorf("it came by %q", how)
			}
			taken = data
			return refuse
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Only for its certificate.
	maker := httptest.NewUnstartedServer(nil)
	maker.StartTLS()
	certificates := maker.TLS.Certificates
	client := maker.Client()
	client.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com"
	maker.Close()
	served := make(chan error, 1)
	go func() { served <- s.Serve(tls.NewListener(l, &tls.Config{Certificates: certificates})) }()

	ask := func(method, host, path, kind string, body io.Reader) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(context.Background(), method, "https://"+l.Addr().String()+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, string(text)
	}
	for _, c := range []struct {
		method, host, path string
		status             int
	}{
		{"GET", "mta-sts.example.org", httpd.PolicyPath, 200},
		{"GET", "MTA-STS.Example.ORG.:443", httpd.PolicyPath, 200},
		{"HEAD", "mta-sts.example.org", httpd.PolicyPath, 200},
		{"POST", "mta-sts.example.org", httpd.PolicyPath, 405},
		{"GET", "example.org", httpd.PolicyPath, 404},
		{"GET", "mta-sts.example.net", httpd.PolicyPath, 404},
		{"GET", "mta-sts.example.org", "/", 404},
		{"GET", "mta-sts.example.org", httpd.ReportPath, 405},
	} {
		answer, text := ask(c.method, c.host, c.path, "", nil)
		if answer.StatusCode != c.status {
			t.Errorf("%s %s%s: %s", c.method, c.host, c.path, answer.Status)
		}
		if c.status == 200 && c.method == "GET" && (text != "version: STSv1\r\n" || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain")) {
			t.Errorf("%q, %v", text, answer.Header)
		}
	}
	if answer, _ := ask("POST", "x", httpd.ReportPath, "application/tlsrpt+gzip", strings.NewReader("report")); answer.StatusCode != 201 || string(taken) != "report" {
		t.Errorf("a report: %s, %q", answer.Status, taken)
	}
	for status, err := range map[int]error{429: reportbox.ErrBusy, 404: reportbox.ErrForeign, 400: fmt.Errorf("%w: x", tlsrpt.ErrNoReport), 503: errors.New("no leader")} {
		refuse = err
		if answer, _ := ask("POST", "x", httpd.ReportPath, "application/tlsrpt+json", strings.NewReader("{}")); answer.StatusCode != status {
			t.Errorf("%v: %s", err, answer.Status)
		}
	}
	refuse = nil
	if answer, _ := ask("POST", "x", httpd.ReportPath, "text/html", strings.NewReader("x")); answer.StatusCode != 415 {
		t.Errorf("another type: %s", answer.Status)
	}
	if answer, _ := ask("POST", "x", httpd.ReportPath, "application/tlsrpt+gzip", bytes.NewReader(make([]byte, tlsrpt.MaxPacked+1))); answer.StatusCode != 413 {
		t.Errorf("too many octets: %s", answer.Status)
	}
	client.CloseIdleConnections()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
