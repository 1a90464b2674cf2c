package s3_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/object/s3"
	"github.com/rookery-mail/rookery/blobstore/objecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// credentialsFile writes a file of two lines.
func credentialsFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(path, []byte("key\nsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// answering is a store that answers all requests alike.
func answering(t *testing.T, handler http.HandlerFunc) *s3.Bucket {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return open(t, s3.Config{Endpoint: server.URL, Bucket: "mail", Credentials: s3.Credentials{File: credentialsFile(t)}, Timeout: 20 * time.Second})
}

func TestErrors(t *testing.T) {
	const answer = `<?xml version="1.0"?><Error><Code>%s</Code><Message>So it is.</Message></Error>`
	for name, c := range map[string]struct {
		status int
		code   string // "" is an answer without a body
		want   []error
		not    error
	}{
		"slow down":      {503, "SlowDown", []error{object.ErrSlowDown, blobstore.ErrUnavailable}, nil},
		"too many":       {429, "", []error{object.ErrSlowDown}, nil},
		"unavailable":    {503, "ServiceUnavailable", []error{blobstore.ErrUnavailable}, object.ErrSlowDown},
		"internal":       {500, "InternalError", []error{blobstore.ErrUnavailable}, nil},
		"bad gateway":    {502, "", []error{blobstore.ErrUnavailable}, nil},
		"full":           {507, "XMinioStorageFull", []error{blobstore.ErrUnavailable}, nil},
		"denied":         {403, "AccessDenied", []error{object.ErrDenied}, blobstore.ErrUnavailable},
		"bare denied":    {403, "", []error{object.ErrDenied}, nil},
		"signature":      {403, "SignatureDoesNotMatch", []error{object.ErrDenied}, nil},
		"clock":          {403, "RequestTimeTooSkewed", []error{object.ErrDenied}, nil},
		"no key":         {404, "NoSuchKey", []error{object.ErrNotFound}, nil},
		"no bucket":      {404, "NoSuchBucket", []error{object.ErrDenied}, object.ErrNotFound},
		"no user":        {404, "XAdminUserNotFound", []error{object.ErrDenied}, object.ErrNotFound},
		"no such range":  {416, "InvalidRange", []error{io.ErrUnexpectedEOF}, object.ErrNotFound},
		"not made":       {501, "NotImplemented", nil, blobstore.ErrUnavailable},
		"malformed":      {400, "InvalidArgument", nil, blobstore.ErrUnavailable},
		"no XML, no end": {504, "<", []error{blobstore.ErrUnavailable}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := answering(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(c.status)
				if c.code != "" {
					fmt.Fprintf(w, answer, c.code)
				}
			})
			_, err := objecttest.GetRange(t.Context(), b, "packs/a", 5, 10)
			if err == nil || c.not != nil && errors.Is(err, c.not) {
				t.Errorf("error %v", err)
			}
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("error %v, want %v", err, want)
				}
			}
		})
	}
}

// TestNoRanges reads a part from a store that gives the whole: it must not be taken for the part.
func TestNoRanges(t *testing.T) {
	b := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = io.WriteString(w, "all of the object")
	})
	if got, err := objecttest.GetRange(t.Context(), b, "a", 4, 3); err == nil || !strings.Contains(err.Error(), "parts of objects") {
		t.Errorf("%q, error %v", got, err)
	}
}

// TestBroken reads from a store whose connection breaks in the middle of the octets.
func TestBroken(t *testing.T) {
	octets := objecttest.Octets(1, 300_000)
	requests := 0
	b := answering(t, func(w http.ResponseWriter, r *http.Request) {
		var from int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(octets)-1, len(octets)))
		}
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Length", fmt.Sprint(len(octets)-from))
		if requests++; requests == 1 {
			_, _ = w.Write(octets[:200_000])
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(octets[from:])
	})
	if _, err := objecttest.Get(t.Context(), b, "a"); !errors.Is(err, blobstore.ErrUnavailable) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken connection: %v", err)
	}
	requests = 0
	retry := object.NewRetry(b, object.RetryConfig{First: time.Millisecond, Most: time.Millisecond})
	if got, err := objecttest.Get(t.Context(), retry, "a"); err != nil || !bytes.Equal(got, octets) {
		t.Errorf("%d octets, error %v", len(got), err)
	}
	if requests != 2 {
		t.Errorf("%d requests", requests)
	}
}

// TestSilent asks a store that takes a request and says nothing, and one that is not there.
func TestSilent(t *testing.T) {
	quiet := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-quiet }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(quiet) })
	c := s3.Config{Endpoint: server.URL, Bucket: "mail", Credentials: s3.Credentials{File: credentialsFile(t)}, Timeout: 50 * time.Millisecond}
	if _, err := open(t, c).Stat(t.Context(), "a"); !errors.Is(err, blobstore.ErrUnavailable) {
		t.Errorf("a silent store: %v", err)
	}
	c.Timeout = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := open(t, c).Stat(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent store and a deadline: %v", err)
	}
	c.Endpoint = "http://127.0.0.1:1"
	if _, err := open(t, c).Stat(t.Context(), "a"); !errors.Is(err, blobstore.ErrUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
}

// TestTLS speaks to a store whose certificate a private authority signed.
func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = io.WriteString(w, "octets")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the handshake that fails
	t.Cleanup(server.Close)
	c := s3.Config{Endpoint: server.URL, Bucket: "mail", Credentials: s3.Credentials{File: credentialsFile(t)}}
	if _, err := objecttest.Get(t.Context(), open(t, c), "a"); !errors.Is(err, blobstore.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an authority that is not known: %v", err)
	}
	c.CA = pemOf(server.Certificate().Raw)
	if got, err := objecttest.Get(t.Context(), open(t, c), "a"); err != nil || string(got) != "octets" {
		t.Errorf("%q, error %v", got, err)
	}
}

func TestOpen(t *testing.T) {
	file := s3.Credentials{File: credentialsFile(t)}
	for name, c := range map[string]struct {
		config s3.Config
		want   string // in the error; "" is none
	}{
		"AWS":              {s3.Config{Bucket: "mail", Credentials: file}, ""},
		"loopback":         {s3.Config{Bucket: "mail", Endpoint: "http://127.0.0.1:9000", Credentials: file}, ""},
		"in clear":         {s3.Config{Bucket: "mail", Endpoint: "http://10.0.0.7:9000", Credentials: file}, "in clear"},
		"in clear allowed": {s3.Config{Bucket: "mail", Endpoint: "http://10.0.0.7:9000", Insecure: true, Credentials: file}, ""},
		"no bucket":        {s3.Config{Credentials: file}, "no name"},
		"no URL":           {s3.Config{Bucket: "mail", Endpoint: "s3.example.org", Credentials: file}, "is not https://host"},
		"ftp":              {s3.Config{Bucket: "mail", Endpoint: "ftp://s3.example.org", Credentials: file}, "neither https"},
		"prefix":           {s3.Config{Bucket: "mail", Prefix: "a b", Credentials: file}, "the prefix"},
		"no credentials":   {s3.Config{Bucket: "mail"}, "say which"},
		"two sources":      {s3.Config{Bucket: "mail", Credentials: s3.Credentials{Env: true, Role: true}}, "say which"},
		"no file":          {s3.Config{Bucket: "mail", Credentials: s3.Credentials{File: "/no/such/file"}}, "read its credentials"},
		"no PEM":           {s3.Config{Bucket: "mail", CA: []byte("x"), Credentials: file}, "PEM"},
		"role":             {s3.Config{Bucket: "mail", Credentials: s3.Credentials{Role: true}}, ""},
	} {
		b, err := s3.Open(c.config)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		if err == nil {
			_ = b.Close()
		}
	}
}

func TestEnvironment(t *testing.T) {
	c := s3.Config{Bucket: "mail", Credentials: s3.Credentials{Env: true}}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_ACCESS_KEY", "")
	if _, err := s3.Open(c); !errors.Is(err, object.ErrDenied) {
		t.Errorf("nothing in the environment: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	if _, err := s3.Open(c); err != nil {
		t.Error(err)
	}
}

func pemOf(certificate []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}
