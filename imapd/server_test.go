package imapd_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/index"
)

func TestNoPasswordWithoutTLS(t *testing.T) {
	w := newHouse(t).dial()
	if greeting := w.until("* "); !strings.Contains(greeting, "LOGINDISABLED") || !strings.Contains(greeting, "STARTTLS") || strings.Contains(greeting, "AUTH=PLAIN") {
		t.Errorf("greeted with %s", greeting)
	}
	if got := w.do(login1); !strings.Contains(got, "NO [PRIVACYREQUIRED]") {
		t.Errorf("got %s", got)
	}
	if got := w.do("STARTTLS"); !strings.Contains(got, "OK") {
		t.Fatalf("got %s", got)
	}
	secure := newWire(t, tls.Client(w.Conn, trusting()))
	if got := secure.do(login1); !strings.Contains(got, "OK [CAPABILITY") {
		t.Errorf("got %s", got)
	}
}

// TestInjection: what comes in the same breath as STARTTLS was sent by anybody and is not carried out.
func TestInjection(t *testing.T) {
	w := newHouse(t).dial()
	w.say("a STARTTLS\r\nb LOGIN ann secret\r\nc SELECT INBOX")
	w.until("* BYE commands must not")
	w.ends()
}

func TestIdle(t *testing.T) {
	h := newHouse(t)
	w := h.dialTLS()
	w.do(login1)
	w.do("SELECT INBOX")
	w.say("i IDLE")
	w.until("+ ")
	for _, want := range []string{"* 1 EXISTS", "* 2 EXISTS"} {
		h.deliver("Subject: " + want + "\r\n\r\nhello\r\n")
		w.until(want)
	}
	w.say("DONE")
	w.until("i OK")
	w.say("i IDLE\r\nDONE\r\nj NOOP")
	w.until("j OK")
}

// TestShutdown: clients between commands, in IDLE and before login hear BYE.
func TestShutdown(t *testing.T) {
	h := newHouse(t)
	waiting, idling, early := h.dialTLS(), h.dialTLS(), h.dial()
	early.until("* OK")
	waiting.do(login1)
	idling.do(login1)
	idling.say("i IDLE")
	idling.until("+ ")
	h.shutdown()
	for _, w := range []*wire{waiting, idling, early} {
		w.until("* BYE [UNAVAILABLE] server is shutting down")
		w.ends()
	}
}

func TestLimits(t *testing.T) {
	h := newHouse(t, func(c *imapd.Config) {
		c.Limits = imapd.Limits{ConnectionsPerAddress: 3, ConnectionsPerAccount: 1, Login: 5 * time.Second}
	})
	first, second, third := h.dialTLS(), h.dialTLS(), h.dial()
	third.until("* OK")
	first.do(login1)
	if got := second.do(login1); !strings.Contains(got, "NO [LIMIT]") {
		t.Errorf("got %s", got)
	}
	fourth := h.dial()
	fourth.until("* BYE [LIMIT] too many connections from your address")
	fourth.ends()
	third.until("* BYE idle for too long")
	third.ends()
	second.until("* BYE idle for too long")
	if got := first.do("NOOP"); got != "t OK NOOP completed" {
		t.Errorf("got %s", got)
	}
	first.do("LOGOUT")
	first.ends()
	again := h.dialTLS()
	if got := again.do(login1); !strings.Contains(got, "OK [CAPABILITY") {
		t.Errorf("after another went: %s", got)
	}
}

// TestSlowReader: who does not read does not hold a session for ever.
func TestSlowReader(t *testing.T) {
	h := newHouse(t, func(c *imapd.Config) { c.Limits.Write = 200 * time.Millisecond })
	h.deliver("Subject: large\r\n\r\n" + strings.Repeat("0123456789abcde\n", 1<<20))
	w := h.dialTLS()
	w.do(login1)
	w.do("SELECT INBOX")
	w.say("f FETCH 1 (BODY[] BODY[] BODY[] BODY[])")
	w.until("* 1 FETCH")
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		// A connection that the server gave up resets what we write.
		if _, err := w.Conn.Write([]byte("x NOOP\r\n")); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the server still waits")
}

// elsewhere is an account that this node has no replica of.
type elsewhere struct{ engine.Account }

func (elsewhere) Mailbox(context.Context, string) (index.Mailbox, error) {
	return index.Mailbox{}, cluster.ErrNoReplica
}

// houseOfTwo is a door without ann's mail, which passes her connection on to home.
func houseOfTwo(t *testing.T, change ...func(*imapd.Config)) (door, home *house) {
	home = newHouse(t, change...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var asked atomic.Value
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			home.server.ServeProxied(nc, asked.Load().(login.Identity))
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return newHouse(t, func(c *imapd.Config) {
		c.Mail = func(index.AccountID) engine.Account { return elsewhere{} }
		c.Proxy = func(_ context.Context, who login.Identity) (net.Conn, error) {
			asked.Store(who)
			return net.Dial("tcp", l.Addr().String())
		}
	}), home
}

// TestProxy: a node without the account's mail passes the connection on after the login.
func TestProxy(t *testing.T) {
	door, home := houseOfTwo(t)
	home.deliver("Subject: far away\r\n\r\nhello\r\n")
	w := door.dialTLS()
	w.say("a LOGIN ann secret\r\nb SELECT INBOX\r\nc FETCH 1 BODY[TEXT]")
	if got := w.until("a "); !strings.HasPrefix(got, "a OK [CAPABILITY") {
		t.Fatalf("got %s", got)
	}
	w.until("b OK")
	w.until("* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {7}")
	w.until("c OK")
	w.say("d IDLE")
	w.until("+ ")
	home.deliver("Subject: another\r\n\r\nhello\r\n")
	w.until("* 2 EXISTS")
	w.say("DONE")
	w.until("d OK")
	if got := w.do("UNAUTHENTICATE"); !strings.HasPrefix(got, "t BAD") { // it is not offered (RFC 8437, section 2)
		t.Errorf("got %s", got)
	}
	door.shutdown()
	w.ends()
}

// TestProxyLimit: the node that serves an account says why it takes no more connections of it.
func TestProxyLimit(t *testing.T) {
	door, home := houseOfTwo(t, func(c *imapd.Config) { c.Limits.ConnectionsPerAccount = 1 })
	first, second := home.dialTLS(), door.dialTLS()
	first.do(login1)
	if got := second.do(login1); !strings.HasPrefix(got, "t OK") {
		t.Fatalf("got %s", got)
	}
	second.until("* BYE [LIMIT] too many connections of this account")
	second.ends()
}

func TestProxyUnavailable(t *testing.T) {
	door := newHouse(t, func(c *imapd.Config) {
		c.Mail = func(index.AccountID) engine.Account { return elsewhere{} }
		c.Proxy = func(context.Context, login.Identity) (net.Conn, error) { return nil, cluster.ErrUnavailable }
	})
	w := door.dialTLS()
	if got := w.do(login1); !strings.Contains(got, "NO [UNAVAILABLE]") {
		t.Errorf("got %s", got)
	}
}

// TestFresh: a session begins with what was acknowledged before the login, and without a majority with
// what there is.
func TestFresh(t *testing.T) {
	var h *house
	var fail atomic.Bool
	h = newHouse(t, func(c *imapd.Config) {
		c.Fresh = func(context.Context, index.AccountID) error {
			if fail.Load() {
				return cluster.ErrUnavailable
			}
			h.deliver("Subject: seen on another node\r\n\r\nhello\r\n")
			return nil
		}
	})
	for range 2 {
		w := h.dialTLS()
		w.do(login1)
		w.say("s SELECT INBOX")
		w.until("* 1 EXISTS")
		w.until("s OK")
		fail.Store(true)
	}
}
