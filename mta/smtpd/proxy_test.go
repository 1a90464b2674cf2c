package smtpd

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

// all is where the clients of these tests come from.
var all = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// TestProxyBeforeTLS: a header and what TLS begins with may come in one packet, and the client counts as the one it names.
func TestProxyBeforeTLS(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	store := &fakeStore{}
	s := newServer(store, func(c *Config) { c.TLS, c.Proxies, c.Limits.ConnectionsPerAddress = serverTLS, all, 1 })
	addr := listen(t, s, Submissions)
	begin := func(client string) *client {
		c := dial(t, addr)
		c.nc = tls.Client(&prefaced{Conn: c.nc, first: "PROXY TCP4 " + client + " 203.0.113.1 4000 465\r\n"}, clientTLS)
		c.r.Reset(c.nc)
		return c
	}
	first := begin("198.51.100.9")
	first.expect("220 ")
	second := begin("198.51.100.10")
	second.expect("220 ")
	if third := begin("198.51.100.9"); third.nc.(*tls.Conn).Handshake() == nil {
		t.Error("an address has more connections through a proxy than it may")
	}
	s.mu.Lock()
	counted := s.perPeer[netip.MustParsePrefix("198.51.100.9/32")]
	s.mu.Unlock()
	if counted == 0 {
		t.Error("the connection is not counted for the client")
	}
}

// prefaced writes something before the first write, in one.
type prefaced struct {
	net.Conn
	first string
}

func (p *prefaced) Write(b []byte) (int, error) {
	head := p.first
	p.first = ""
	if _, err := p.Conn.Write(append([]byte(head), b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// TestProxySilent: a proxy that says nothing, or too little, is hung up on.
func TestProxySilent(t *testing.T) {
	s := newServer(&fakeStore{}, func(c *Config) { c.Proxies, c.Limits.Proxy = all, 50*time.Millisecond })
	addr := listen(t, s, MX)
	for _, said := range []string{"", "PROXY TCP4 198.51", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff"} {
		c := dial(t, addr)
		c.send(said)
		if rest, err := io.ReadAll(c.nc); len(rest) > 0 {
			t.Errorf("%q is answered %q, %v", said, rest, err)
		}
	}
}

// watched is a session that has clients wait.
type watched struct {
	fakeSession
	patience time.Duration
}

func (w watched) Patience() time.Duration { return w.patience }
func (w watched) Early(what string) *mta.Reply {
	return mta.Replyf(554, mta.BadSequence, "You %s", what)
}

type watchful struct{ patience time.Duration }

func (w watchful) Begin(context.Context, Peer) (Session, *mta.Reply) {
	return watched{fakeSession{&fakeChecks{}}, w.patience}, nil
}

// TestWhoDoesNotWait: who speaks before the greeting, or pipelines before it may, is told so and hung up on; who waits is
// greeted.
func TestWhoDoesNotWait(t *testing.T) {
	s := newServer(&fakeStore{}, func(c *Config) { c.Checks = watchful{time.Minute} })
	early := dial(t, listen(t, s, MX))
	early.send("EHLO a.example\r\n") // seen though it is to wait a minute
	early.expect("554 5.5.1 You spoke before the greeting")
	early.expectEnd()

	s = newServer(&fakeStore{}, func(c *Config) { c.Checks = watchful{0} })
	addr := listen(t, s, MX)
	hasty := dial(t, addr)
	hasty.expect("220 ")
	hasty.send("EHLO a.example\r\nMAIL FROM:<joe@example.net>\r\n")
	hasty.expect("554 5.5.1 You sent commands before")
	hasty.expectEnd()

	good := dial(t, addr)
	good.expect("220 ")
	good.send("EHLO a.example\r\n")
	good.expect("250-")
	good.send("MAIL FROM:<joe@example.net>\r\nRCPT TO:<alice@example.org>\r\nQUIT\r\n")
	good.expect("250 ")
	good.expect("250 ")
	good.expect("221 ")

	s = newServer(&fakeStore{}, func(c *Config) { c.Checks = watchful{-1} })
	known := dial(t, listen(t, s, MX))
	known.send("EHLO a.example\r\nMAIL FROM:<joe@example.net>\r\n")
	known.expect("220 ")
	known.expect("250-")
	known.expect("250 ")
}

// TestShutdownEndsPatience: a client that waits for the greeting does not keep the server from going down.
func TestShutdownEndsPatience(t *testing.T) {
	began := make(chan struct{})
	s := newServer(&fakeStore{}, func(c *Config) { c.Checks = announced{began} })
	c := dial(t, listen(t, s, MX))
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(c.nc)
	if !strings.HasPrefix(string(rest), "421 4.3.2 ") {
		t.Errorf("it is told %q", rest)
	}
}

// announced says when a connection began, and has it wait for an hour.
type announced struct{ began chan struct{} }

func (a announced) Begin(ctx context.Context, p Peer) (Session, *mta.Reply) {
	close(a.began)
	return watchful{time.Hour}.Begin(ctx, p)
}
