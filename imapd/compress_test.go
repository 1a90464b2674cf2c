package imapd_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/index"
)

// deflating is a connection whose writes are compressed, each to its end, and sent in one piece.
type deflating struct {
	net.Conn
	w   *flate.Writer
	out *bytes.Buffer
}

func (d deflating) Write(p []byte) (int, error) {
	if _, err := d.w.Write(p); err != nil {
		return 0, err
	}
	if err := d.w.Flush(); err != nil {
		return 0, err
	}
	defer d.out.Reset()
	_, err := d.Conn.Write(d.out.Bytes())
	return len(p), err
}

// compress says COMPRESS and goes on compressed.
func (w *wire) compress() {
	w.t.Helper()
	if got := w.do("COMPRESS DEFLATE"); !strings.HasPrefix(got, "t OK") {
		w.t.Fatalf("got %s", got)
	}
	out := &bytes.Buffer{}
	z, err := flate.NewWriter(out, flate.BestSpeed)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Conn, w.r = deflating{w.Conn, z, out}, bufio.NewReader(flate.NewReader(w.r))
}

// TestCompress has a conversation that is compressed, with a literal each way and an IDLE.
//
// RFC 4978: COMPRESS=DEFLATE
func TestCompress(t *testing.T) {
	h := newHouse(t)
	w := h.dialTLS()
	if got := w.do(login1); !strings.Contains(got, " COMPRESS=DEFLATE") {
		t.Errorf("got %s", got)
	}
	w.compress()
	if got := w.do("COMPRESS DEFLATE"); !strings.HasPrefix(got, "t NO [COMPRESSIONACTIVE]") {
		t.Errorf("got %s", got)
	}
	w.say("a CAPABILITY")
	if got := w.until("* CAPABILITY"); strings.Contains(got, "COMPRESS") {
		t.Errorf("got %s", got)
	}
	text := "Subject: large\r\n\r\n" + strings.Repeat("lines that are alike, and one number: 0123456789\r\n", 8000)
	w.say("b APPEND INBOX {%d}", len(text))
	w.until("+ ")
	w.say("%s", text)
	w.until("b OK")
	w.do("SELECT INBOX")
	w.say("c FETCH 1 BODY[]")
	w.until("* 1 FETCH")
	got := make([]byte, len(text))
	if _, err := io.ReadFull(w.r, got); err != nil || string(got) != text {
		t.Errorf("what came back is not what was sent: %v", err)
	}
	w.until("c OK")
	for i := range 3 {
		w.say("d IDLE")
		w.until("+ ")
		h.deliver(fmt.Sprintf("Subject: %d\r\n\r\nhello\r\n", i))
		w.until(fmt.Sprintf("* %d EXISTS", i+2))
		w.say("DONE")
		w.until("d OK")
	}
	h.shutdown()
	w.until("* BYE")
	w.ends()
}

// TestPartialFlush: a client that ends what it sends with zlib's partial flush, as mutt does, gets its answers.
// What it sends is of Python's zlib, a command a line.
func TestPartialFlush(t *testing.T) {
	h := newHouse(t)
	h.deliver("Subject: first\r\n\r\nhello\r\n")
	sent, err := os.ReadFile("testdata/partialflush.txt")
	must(t, err)
	commands := strings.Fields(string(sent))
	w := h.dialTLS()
	w.do(login1)
	raw := w.Conn
	w.compress()
	for _, answer := range []string{"a0004 OK", "a0005 OK", "+ ", "a0006 OK", "a0007 OK", "a0008 OK"} {
		octets, err := hex.DecodeString(commands[0])
		must(t, err)
		commands = commands[1:]
		_, err = raw.Write(octets)
		must(t, err)
		w.until(answer)
		if answer == "+ " {
			h.deliver("Subject: second\r\n\r\nhello\r\n")
			w.until("* 2 EXISTS")
		}
	}
	w.ends()
}

// TestCompressSplit: octets that come one by one, the end of a flush after its command's answer among them, wake no
// IDLE and lose nothing.
func TestCompressSplit(t *testing.T) {
	h := newHouse(t)
	w := h.dialTLS()
	w.do(login1)
	raw := w.Conn
	w.compress()
	var z bytes.Buffer
	out, err := flate.NewWriter(&z, flate.BestCompression)
	must(t, err)
	say := func(text string) {
		fmt.Fprint(out, text+"\r\n")
		must(t, out.Flush())
		for _, b := range z.Bytes() {
			_, err := raw.Write([]byte{b})
			must(t, err)
		}
		z.Reset()
	}
	say("a SELECT INBOX")
	w.until("a OK")
	for i := range 3 {
		say("b IDLE")
		w.until("+ ")
		h.deliver(fmt.Sprintf("Subject: %d\r\n\r\nhello\r\n", i))
		w.until(fmt.Sprintf("* %d EXISTS", i+1))
		say("DONE")
		w.until("b OK")
	}
}

// TestCompressBad: what is not compressed after COMPRESS ends the connection, as do commands that come with it.
func TestCompressBad(t *testing.T) {
	h := newHouse(t)
	w := h.dialTLS()
	w.do(login1)
	for command, want := range map[string]string{"COMPRESS LZW": "t BAD", "COMPRESS": "t BAD", "COMPRESS DEFLATE 9": "t BAD"} {
		if got := w.do(command); !strings.HasPrefix(got, want) {
			t.Errorf("%s got %s", command, got)
		}
	}
	w.say("a COMPRESS DEFLATE\r\nb NOOP")
	w.until("* BYE commands must not be sent before COMPRESS is answered")
	w.ends()

	w = h.dialTLS()
	if got := w.do("COMPRESS DEFLATE"); !strings.HasPrefix(got, "t BAD log in first") {
		t.Errorf("got %s", got)
	}
	w.do(login1)
	w.compress()
	_, err := w.Conn.(deflating).Conn.Write([]byte("\x07 NOOP\r\n"))
	must(t, err)
	w.ends()
}

// TestCompressBomb: a line that inflates to very much meets the same end as one that was sent so.
func TestCompressBomb(t *testing.T) {
	h := newHouse(t)
	w := h.dialTLS()
	w.do(login1)
	w.compress()
	w.say("a LOGIN %s", strings.Repeat("x", 900<<10))
	if got := w.until("a "); !strings.Contains(got, "BAD line is longer") {
		t.Errorf("got %s", got)
	}
	w.say("b NOOP {%d+}\r\n%s", 1<<19, strings.Repeat("x", 1<<19))
	w.until("b BAD")
	go func() {
		for range 64 {
			if _, err := w.Conn.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
				return
			}
		}
	}()
	w.until("* BYE")
	w.ends()
}

// TestCompressProxied: the node that has the mail compresses; the one between passes on what it does not read.
func TestCompressProxied(t *testing.T) {
	door, home := houseOfTwo(t)
	w := door.dialTLS()
	if got := w.do(login1); !strings.Contains(got, " COMPRESS=DEFLATE") {
		t.Errorf("got %s", got)
	}
	w.compress()
	w.do("SELECT INBOX")
	w.say("a IDLE")
	w.until("+ ")
	home.deliver("Subject: far away\r\n\r\nhello\r\n")
	w.until("* 1 EXISTS")
	w.say("DONE")
	w.until("a OK")
}

// TestCompressThenProxied: compression outlives UNAUTHENTICATE, and with it the next user's mail being elsewhere.
func TestCompressThenProxied(t *testing.T) {
	_, home := houseOfTwo(t)
	local := false
	there, here := net.Pipe()
	defer there.Close()
	door := newHouse(t, func(c *imapd.Config) {
		mail := c.Mail
		c.Mail = func(a index.AccountID) engine.Account {
			if local = !local; local {
				return mail(a)
			}
			return elsewhere{}
		}
		c.Proxy = func(context.Context, login.Identity) (net.Conn, error) { return here, nil }
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		home.server.ServeProxied(there, login.Identity{Account: home.ann, Address: "ann@example.com"})
	}()
	home.deliver("Subject: far away\r\n\r\nhello\r\n")
	w := door.dialTLS()
	w.do(login1)
	w.compress()
	w.do("UNAUTHENTICATE")
	w.do(login1)
	w.say("a SELECT INBOX")
	w.until("* 1 EXISTS")
	w.until("a OK")
	w.do("LOGOUT")
	w.ends()
	<-done
}
