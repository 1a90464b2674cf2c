package imapd_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/bearer"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a server with a directory in which ann has an account, and her mail.
type house struct {
	t      testing.TB
	server *imapd.Server
	store  *mailstore.Store
	auth   *login.Authenticator
	dir    *directorytest.Directory
	ann    index.AccountID
	plain  string // address of the IMAP listener
	tls    string // address of the IMAPS listener
	down   bool

	authorities atomic.Pointer[x509.CertPool] // of users; nil at first
}

func newHouse(t testing.TB, change ...func(*imapd.Config)) *house {
	t.Helper()
	d := directorytest.New(t, "example.com")
	d.Must(t)(directory.SetSetting("password_iterations", fmt.Sprint(directorytest.Iterations)))
	h := &house{t: t, dir: d, store: mailstoretest.New(t), ann: d.AddAccount(t, "ann@example.com", "secret")}
	var err error
	if h.auth, err = login.New(login.Config{Directory: d, Tokens: bearer.New(bearer.Config{}), Authorities: h.authorities.Load}); err != nil {
		t.Fatal(err)
	}
	config := imapd.Config{Mail: imapd.Mailstore(h.store), Auth: imapd.Logins(h.auth), TLS: certificate(t), Authorities: h.authorities.Load, Version: "test"}
	for _, c := range change {
		c(&config)
	}
	h.server = imapd.New(config)
	h.plain, h.tls = h.listen(imapd.IMAP), h.listen(imapd.IMAPS)
	t.Cleanup(h.shutdown)
	return h
}

func (h *house) shutdown() {
	if h.down {
		return
	}
	h.down = true
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		h.t.Error(err)
	}
}

func (h *house) listen(kind imapd.Kind) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	go func() {
		if err := h.server.Serve(l, kind); err != nil {
			h.t.Error(err)
		}
	}()
	return l.Addr().String()
}

// certificate is a TLS configuration with a new certificate for localhost.
func certificate(t testing.TB) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// trusting is a client's TLS configuration that takes any certificate.
func trusting() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// deliver puts a message into ann's INBOX.
func (h *house) deliver(text string) {
	h.t.Helper()
	in := h.store.NewIncoming(h.t.Context(), []index.AccountID{h.ann}, nil)
	defer in.Discard()
	if _, err := in.Write([]byte(text)); err != nil {
		h.t.Fatal(err)
	}
	out, err := in.Deliver(h.t.Context(), mailstore.Delivery{Targets: []mailstore.Target{{Account: h.ann, Address: text[:min(len(text), 40)]}}})
	if err != nil || out[0].Err != nil {
		h.t.Fatal(err, out)
	}
}

// wire is a client that speaks lines.
type wire struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (h *house) dial() *wire {
	h.t.Helper()
	nc, err := net.Dial("tcp", h.plain)
	if err != nil {
		h.t.Fatal(err)
	}
	return newWire(h.t, nc)
}

func (h *house) dialTLS() *wire {
	h.t.Helper()
	nc, err := tls.Dial("tcp", h.tls, trusting())
	if err != nil {
		h.t.Fatal(err)
	}
	return newWire(h.t, nc)
}

func newWire(t testing.TB, nc net.Conn) *wire {
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &wire{t: t, Conn: nc, r: bufio.NewReader(nc)}
}

func (w *wire) say(format string, args ...any) {
	w.t.Helper()
	if _, err := fmt.Fprintf(w.Conn, format+"\r\n", args...); err != nil {
		w.t.Fatal(err)
	}
}

// until reads lines up to one with a prefix, which it returns.
func (w *wire) until(prefix string) string {
	w.t.Helper()
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			w.t.Fatalf("waiting for %q: %v", prefix, err)
		}
		if strings.HasPrefix(line, prefix) {
			return strings.TrimRight(line, "\r\n")
		}
	}
}

// do says a command and reads up to its tagged response.
func (w *wire) do(command string) string {
	w.t.Helper()
	w.say("t %s", command)
	return w.until("t ")
}

// ends reads until the server hangs up.
func (w *wire) ends() {
	w.t.Helper()
	for {
		if _, err := w.r.ReadByte(); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				w.t.Error("the server does not hang up")
			}
			return
		}
	}
}

const login1 = "LOGIN ann secret"
