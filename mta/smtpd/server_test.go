package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

const envelope = "EHLO x\r\nMAIL FROM:<carol@example.com>\r\nRCPT TO:<bob@example.org>\r\n"

func (c *client) envelope() {
	c.t.Helper()
	c.expect("220 ")
	c.send(envelope)
	c.expect("250-")
	c.expect("250 ")
	c.expect("250 ")
}

// TestTruncatedChunk holds that a message whose connection ends within a chunk is dropped, also when
// TLS says goodbye in an orderly way.
func TestTruncatedChunk(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	store := &fakeStore{}
	s := newServer(store, func(c *Config) { c.TLS = serverTLS })
	c := dial(t, listen(t, s, MX))
	c.expect("220 ")
	c.send("EHLO x\r\n")
	c.expect("250-")
	c.send("STARTTLS\r\n")
	c.expect("220 ")
	inner := tls.Client(c.nc, clientTLS)
	c.nc = inner
	c.r.Reset(c.nc)
	c.send(envelope)
	c.expect("250-")
	c.expect("250 ")
	c.expect("250 ")
	c.send("BDAT 1000 LAST\r\nSubject: half")
	inner.CloseWrite()
	c.expectEnd()
	if got := store.take(); len(got) != 0 || store.open != 0 {
		t.Errorf("delivered %+v, %d not given back", got, store.open)
	}
}

// TestEndAfterBareCR holds that the end of a message is seen behind CR CR LF, so that what follows is
// not taken for a part of it.
func TestEndAfterBareCR(t *testing.T) {
	store := &fakeStore{}
	c := dial(t, listen(t, newServer(store, nil), MX))
	c.envelope()
	c.send("DATA\r\nfirst\r\r\n.\r\nMAIL FROM:<dave@example.com>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nsecret\r\n.\r\n")
	c.expect("354 ")
	c.expect("550 5.6.0 ")
	c.expect("250 2.1.0 ")
	c.expect("250 2.1.5 ")
	c.expect("354 ")
	c.expect("250 2.0.0 ")
	if got := store.take(); len(got) != 1 || got[0].targets[0].Address != "alice@example.org" {
		t.Errorf("delivered %+v", got)
	}
}

func TestTooLarge(t *testing.T) {
	store := &fakeStore{}
	addr := listen(t, newServer(store, nil), MX)
	line := strings.Repeat("x", 998) + "\r\n"

	c := dial(t, addr)
	c.envelope()
	c.send("DATA\r\n" + strings.Repeat(line, 101) + ".\r\nNOOP\r\n")
	c.expect("354 ")
	c.expect("552 5.3.4 ")
	c.expect("250 ") // and the connection goes on

	c.send("MAIL FROM:<carol@example.com>\r\nRCPT TO:<bob@example.org>\r\nBDAT 100001\r\n" + strings.Repeat("x", 100_001) + "NOOP\r\n")
	c.expect("250 ")
	c.expect("250 ")
	c.expect("552 5.3.4 ")
	c.expect("250 ")

	// Somebody who goes on and on is hung up on.
	c.send("MAIL FROM:<carol@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n")
	c.expect("250 ")
	c.expect("250 ")
	c.expect("354 ")
	c.send(strings.Repeat(line, 300))
	c.expect("552 5.3.4 ")
	c.expectEnd()
	if got := store.take(); len(got) != 0 || store.open != 0 {
		t.Errorf("delivered %d messages, %d not given back", len(got), store.open)
	}
}

func TestLoop(t *testing.T) {
	c := dial(t, listen(t, newServer(&fakeStore{}, nil), MX))
	c.envelope()
	c.send("DATA\r\n" + strings.Repeat("Received: from a by b\r\n\twith c\r\n", 51) + "\r\n.\r\n")
	c.expect("354 ")
	c.expect("554 5.4.6 ")
}

// TestBigMessage holds that lines of any length and headers of any size pass through unchanged.
func TestBigMessage(t *testing.T) {
	store := &fakeStore{}
	s := newServer(store, func(c *Config) { c.Directory = fakeDirectory{Bounds{MaxMessage: 10 << 20, MaxRecipients: 1000}} })
	c := dial(t, listen(t, s, MX))
	body := strings.Repeat("X-Long: "+strings.Repeat("h", 200)+"\r\n", 1000) + "\r\n" +
		strings.Repeat("l", 300_000) + "\r\n" + strings.Repeat("short line\r\n", 30_000)
	c.envelope()
	c.send("DATA\r\n" + body + ".\r\n")
	c.expect("354 ")
	c.expect("250 2.0.0 ")
	if got := store.take(); len(got) != 1 || !strings.HasSuffix(got[0].octets, "+0000\r\n"+body) {
		t.Error("the message is not what was sent")
	}
}

func TestLongCommands(t *testing.T) {
	c := dial(t, listen(t, newServer(&fakeStore{}, nil), MX))
	c.expect("220 ")
	c.send("NOOP " + strings.Repeat("x", 20_000) + "\r\nNOOP\r\n")
	c.expect("500 5.5.2 ")
	c.expect("250 ")
	c.send("NOOP " + strings.Repeat("x", 3<<19))
	c.expect("500 5.5.2 ")
	c.expectEnd()
}

func TestConnectionLimits(t *testing.T) {
	s := newServer(&fakeStore{}, func(c *Config) { c.Limits.ConnectionsPerAddress, c.Limits.Connections = 2, 3 })
	addr := listen(t, s, MX)
	first := dial(t, addr)
	first.expect("220 ")
	dial(t, addr).expect("220 ")
	third := dial(t, addr)
	third.expect("421 4.7.0 ")
	third.expectEnd()
	first.send("QUIT\r\n")
	first.expect("221 ")
	first.expectEnd()
	// The place is free once the server has forgotten the connection.
	deadline := time.Now().Add(10 * time.Second)
	for {
		c := dial(t, addr)
		line, err := c.r.ReadString('\n')
		if err == nil && strings.HasPrefix(line, "220 ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %q, %v", line, err)
		}
	}
}

// TestAccountLimit: an account has so many connections at a time, whatever the door, and gets a place back with QUIT.
func TestAccountLimit(t *testing.T) {
	s := newServer(&fakeStore{}, func(c *Config) { c.Limits.ConnectionsPerAccount, c.Limits.ConnectionsPerAddress = 2, -1 })
	addr := listen(t, s, Submission)
	login := func() *client {
		c := dial(t, addr)
		c.expect("220 ")
		c.send("EHLO x\r\nAUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==\r\n")
		c.expect("250-")
		return c
	}
	first, second, third := login(), login(), login()
	first.expect("235 ")
	second.expect("235 ")
	third.expect("421 4.7.0 Too many connections of your account")
	third.expectEnd()
	first.send("NOOP\r\nQUIT\r\n")
	first.expect("250 ")
	first.expect("221 ")
	login().expect("235 ")
	// One that hangs up gives its place back too, once the server has seen it.
	second.nc.Close()
	for deadline := time.Now().Add(30 * time.Second); ; {
		c := login()
		line, err := c.r.ReadString('\n')
		if err == nil && strings.HasPrefix(line, "235 ") {
			break
		}
		c.nc.Close() // what the server waits for
		if time.Now().After(deadline) {
			t.Fatalf("still %q, %v", line, err)
		}
	}
}

func TestRecipientLimit(t *testing.T) {
	s := newServer(&fakeStore{}, func(c *Config) {
		c.Directory, c.Limits.BadRecipients = fakeDirectory{Bounds{MaxMessage: 100_000, MaxRecipients: 1}}, 2
	})
	c := dial(t, listen(t, s, MX))
	c.envelope()
	c.send("RCPT TO:<alice@example.org>\r\n" + strings.Repeat("RCPT TO:<nobody@example.org>\r\n", 1))
	c.expect("452 4.5.3 ")
	c.expect("452 4.5.3 ")
	c.send("RSET\r\nMAIL FROM:<>\r\n" + strings.Repeat("RCPT TO:<nobody@example.org>\r\n", 3))
	c.expect("250 ")
	c.expect("250 ")
	c.expect("550 ")
	c.expect("550 ")
	c.expect("550 ")
	c.expect("421 4.7.0 ")
	c.expectEnd()
}

func TestTimeouts(t *testing.T) {
	s := newServer(&fakeStore{}, func(c *Config) {
		c.Limits.Command, c.Limits.Data, c.Limits.Message = 50*time.Millisecond, 50*time.Millisecond, 200*time.Millisecond
	})
	addr := listen(t, s, MX)
	idle := dial(t, addr)
	idle.expect("220 ")
	idle.expect("421 4.4.2 ")
	idle.expectEnd()

	slow := dial(t, addr) // never silent for long, but never done
	slow.envelope()
	slow.send("DATA\r\n")
	slow.expect("354 ")
	stop := time.Now().Add(10 * time.Second)
	for time.Now().Before(stop) {
		if _, err := slow.nc.Write([]byte("x")); err != nil {
			break
		}
		slow.nc.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := slow.r.Peek(1); err == nil {
			break
		}
	}
	slow.nc.SetReadDeadline(stop)
	slow.expect("421 4.4.2 ")
}

// TestShutdown holds that a message in transfer is finished, and that nobody else is waited for.
func TestShutdown(t *testing.T) {
	store := &fakeStore{}
	s := newServer(store, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l, MX) }()
	idle, busy := dial(t, l.Addr().String()), dial(t, l.Addr().String())
	idle.expect("220 ")
	busy.envelope()
	busy.send("DATA\r\n")
	busy.expect("354 ")

	down := make(chan error, 1)
	go func() { down <- s.Shutdown(t.Context()) }()
	idle.expect("421 4.3.2 ")
	idle.expectEnd()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	busy.send("Subject: last\r\n\r\n.\r\n")
	busy.expect("250 2.0.0 ")
	busy.expect("421 4.3.2 ")
	busy.expectEnd()
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if len(store.take()) != 1 {
		t.Error("the last message is not there")
	}
	if nc, err := net.Dial("tcp", l.Addr().String()); err == nil {
		nc.Close()
		t.Error("the listener still takes connections")
	}
}

// TestShutdownCuts holds that whoever does not end in time is cut, also within a delivery.
func TestShutdownCuts(t *testing.T) {
	store := &fakeStore{}
	entered := make(chan struct{})
	s := newServer(store, nil)
	store.deliver = func() error {
		close(entered)
		<-s.ctx.Done()
		return s.ctx.Err()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l, MX) }()
	silent, busy := dial(t, l.Addr().String()), dial(t, l.Addr().String())
	silent.envelope()
	busy.envelope()
	busy.send("DATA\r\n.\r\n")
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if store.open != 0 || len(store.take()) != 0 {
		t.Error("a message was kept or not given back")
	}
}

// TestPanic holds that a broken store costs one connection, not the process.
func TestPanic(t *testing.T) {
	store := &fakeStore{deliver: func() error { panic("broken") }}
	c := dial(t, listen(t, newServer(store, nil), MX))
	c.envelope()
	c.send("DATA\r\n.\r\n")
	c.expect("354 ")
	c.expect("421 4.3.0 ")
	c.expectEnd()
}

func TestServeRefuses(t *testing.T) {
	for _, kind := range []Kind{Submission, Submissions} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := newServer(&fakeStore{}, func(c *Config) { c.Auth = nil })
		if err := s.Serve(l, kind); !errors.Is(err, errNotConfigured) {
			t.Errorf("Serve(%s) without TLS and authentication: %v", kind, err)
		}
	}
}

func TestRandomID(t *testing.T) {
	seen := map[mta.ID]bool{}
	for range 1000 {
		id := RandomID()
		if len(id) != 16 || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}
