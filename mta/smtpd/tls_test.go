package smtpd

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

// certificate makes a certificate for mx.example.org and what a client needs to trust it.
func certificate(t testing.TB) (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.example.org"}, DNSNames: []string{"mx.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, &tls.Config{RootCAs: roots, ServerName: "mx.example.org"}
}

// listen serves kind on a port of the loopback until the test ends.
func listen(t testing.TB, s *Server, kind Kind) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l, kind) }()
	t.Cleanup(func() {
		if err := s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// client is a hand-driven connection.
type client struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(2 * time.Minute))
	return &client{t, nc, bufio.NewReader(nc)}
}

// send writes octets as they are.
func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, s); err != nil {
		c.t.Fatalf("send %q: %v", s, err)
	}
}

// expect reads a reply, all lines of it, and holds that it starts with prefix.
func (c *client) expect(prefix string) {
	c.t.Helper()
	var all string
	for {
		line, err := c.r.ReadString('\n')
		if all += line; err != nil {
			c.t.Fatalf("got %q and %v, want %q", all, err, prefix)
		}
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	if !strings.HasPrefix(all, prefix) {
		c.t.Fatalf("got %q, want %q", all, prefix)
	}
}

// expectEnd holds that the server closed the connection.
func (c *client) expectEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Fatalf("got %q and %v, want the end", rest, err)
	}
}

// submit sends one message as alice through the client of go-smtp.
func submit(t *testing.T, c *gosmtp.Client) {
	t.Helper()
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", "alice@example.org", "secret")); err != nil {
		t.Fatal(err)
	}
	if err := c.SendMail("alice@example.org", []string{"bob@example.org"}, strings.NewReader("Subject: x\r\n\r\n.dot\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
}

func TestSubmissionWithTLS(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	store := &fakeStore{}
	s := newServer(store, func(c *Config) { c.TLS, c.Auth = serverTLS, fakeAuth{needTLS: true} })
	for kind, dialer := range map[Kind]func(addr string) (*gosmtp.Client, error){
		Submission:  func(addr string) (*gosmtp.Client, error) { return gosmtp.DialStartTLS(addr, clientTLS) },
		Submissions: func(addr string) (*gosmtp.Client, error) { return gosmtp.DialTLS(addr, clientTLS) },
	} {
		c, err := dialer(listen(t, s, kind))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		submit(t, c)
		got := store.take()
		if len(got) != 1 || !strings.Contains(got[0].octets, "with ESMTPSA") || !strings.Contains(got[0].octets, "(TLS1.3 TLS_") ||
			!strings.HasSuffix(got[0].octets, "Subject: x\r\n\r\n.dot\r\n") || strings.Contains(got[0].octets, "127.0.0.1") {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}

func TestSubmissionNeedsTLS(t *testing.T) {
	serverTLS, _ := certificate(t)
	// The mechanisms would do without TLS, the door does not.
	s := newServer(&fakeStore{}, func(c *Config) { c.TLS, c.Auth = serverTLS, fakeAuth{} })
	c := dial(t, listen(t, s, Submission))
	c.expect("220 ")
	c.send("EHLO x\r\nAUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==\r\nMAIL FROM:<alice@example.org>\r\n")
	c.expect("250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250-STARTTLS\r\n250-ENHANCED")
	c.expect("538 5.7.11 ")
	c.expect("530 5.7.0 ")
}

// TestStartTLSInjection holds that plain text behind STARTTLS is never executed inside of TLS.
func TestStartTLSInjection(t *testing.T) {
	serverTLS, _ := certificate(t)
	s := newServer(&fakeStore{}, func(c *Config) { c.TLS = serverTLS })
	c := dial(t, listen(t, s, MX))
	c.expect("220 ")
	c.send("EHLO x\r\n")
	c.expect("250-")
	c.send("STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n")
	c.expect("421 4.7.0 ")
	c.expectEnd()
}

// TestStartTLSForgets holds that what was said in plain text counts no more inside of TLS.
func TestStartTLSForgets(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	s := newServer(&fakeStore{}, func(c *Config) { c.TLS = serverTLS })
	c := dial(t, listen(t, s, MX))
	c.expect("220 ")
	c.send("EHLO x\r\nMAIL FROM:<a@example.com>\r\n")
	c.expect("250-")
	c.expect("250 ")
	c.send("STARTTLS\r\n")
	c.expect("220 ")
	c.nc = tls.Client(c.nc, clientTLS)
	c.r.Reset(c.nc)
	c.send("RCPT TO:<alice@example.org>\r\nMAIL FROM:<a@example.com>\r\nEHLO x\r\nSTARTTLS\r\n")
	c.expect("503 5.5.1 MAIL first")
	c.expect("503 5.5.1 Say hello first")
	c.expect("250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250-ENHANCED")
	c.expect("503 5.5.1 ")
}

// TestRequireTLS: REQUIRETLS is offered, and known, within TLS where there is a queue that keeps it (RFC 8689, section 2).
func TestRequireTLS(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	for _, out := range []Queue{nil, fakeQueue{}} {
		s := newServer(&fakeStore{}, func(c *Config) { c.TLS, c.Queue = serverTLS, out })
		c := dial(t, listen(t, s, MX))
		c.expect("220 ")
		c.send("EHLO x\r\nMAIL FROM:<a@example.com> REQUIRETLS\r\n")
		c.expect("250-")
		c.expect("555 5.5.4 ")
		c.send("STARTTLS\r\n")
		c.expect("220 ")
		c.nc = tls.Client(c.nc, clientTLS)
		c.r.Reset(c.nc)
		const usual = "250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
		offered, answer := usual+"250-REQUIRETLS\r\n", "250 2.1.0 "
		if out == nil {
			offered, answer = usual+"250 LIMITS", "555 5.5.4 "
		}
		c.send("EHLO x\r\nMAIL FROM:<a@example.com> REQUIRETLS\r\n")
		c.expect(offered)
		c.expect(answer)
	}
}

func TestTLSRefuses(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	s := newServer(&fakeStore{}, func(c *Config) { c.TLS = serverTLS })
	addr := listen(t, s, Submissions)
	old := clientTLS.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if nc, err := tls.Dial("tcp", addr, old); err == nil {
		nc.Close()
		t.Error("TLS 1.1 was taken")
	}
	c := dial(t, addr)
	c.send("EHLO x\r\n")
	c.nc.SetDeadline(time.Now().Add(time.Minute))
	if rest, _ := io.ReadAll(c.r); strings.Contains(string(rest), "250") {
		t.Errorf("plain text was answered with %q", rest)
	}
}
