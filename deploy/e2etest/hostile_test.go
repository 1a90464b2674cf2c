package e2etest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// wire is a connection on which a story says what no client would.
type wire struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dialWire(t *testing.T, address string) *wire {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &wire{t, conn, bufio.NewReader(conn)}
}

func (w *wire) send(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, text); err != nil {
		w.t.Fatal(err)
	}
}

// reply reads a whole SMTP reply and gives its last line.
func (w *wire) reply() string {
	w.t.Helper()
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			w.t.Fatalf("no reply: %v", err)
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimSpace(line)
		}
	}
}

// tagged reads IMAP responses up to the one with a tag, and gives that.
func (w *wire) tagged(tag string) string {
	w.t.Helper()
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			w.t.Fatalf("no answer to %s: %v", tag, err)
		}
		if strings.HasPrefix(line, tag+" ") {
			return strings.TrimSpace(line)
		}
	}
}

// expect sends a line and expects how the SMTP reply begins.
func (w *wire) expect(line, want string) {
	w.t.Helper()
	w.send(line + "\r\n")
	if got := w.reply(); !strings.HasPrefix(got, want) {
		w.t.Fatalf("%q was answered %q, want %s", line, got, want)
	}
}

// startData begins a message from outside.
func startData(t *testing.T, a *account) *wire {
	t.Helper()
	w := dialWire(t, a.in.mx)
	w.reply()
	w.expect("EHLO client.example", "250")
	w.expect("MAIL FROM:<x@example.com>", "250")
	w.expect("RCPT TO:<"+a.address+">", "250")
	w.expect("DATA", "354")
	return w
}

// smuggling tries to make two messages of one with every odd end of DATA.
func smuggling(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r\n\x00.\r\n"} {
		w := startData(t, a)
		w.send("Subject: outer\r\n\r\ntext" + end +
			"MAIL FROM:<y@example.com>\r\nRCPT TO:<" + a.address + ">\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\nQUIT\r\n")
		rest, err := io.ReadAll(w.r)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && len(rest) == 0 {
			t.Logf("%q: %v", end, err) // refused by closing
		}
		if strings.Count(string(rest), "\n354") > 0 || strings.HasPrefix(string(rest), "354") {
			t.Errorf("DATA ended by %q let commands through:\n%s", end, rest)
		}
	}
	list, err := a.look(t, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.subject != "outer" {
			t.Errorf("a message %q came out of another one", m.subject)
		}
	}
}

// injection sends a command together with STARTTLS. The server may end the connection; if not, the
// command must not count after the handshake.
func injection(t *testing.T, s *site) {
	d := s.doors[0]
	w := dialWire(t, d.mx)
	w.reply()
	w.expect("EHLO client.example", "250")
	w.send("STARTTLS\r\nVRFY injected\r\n")
	if w.shake(s.tlsConfig(t, d)) {
		w.expect("EHLO client.example", "250")
		w.expect("MAIL FROM:<x@example.com>", "250")
		w.expect("NOOP", "250")
		w.expect("XYZZY", "500") // in step: a reply to VRFY would have come before
	}
	i := dialWire(t, d.imap)
	i.tagged("*")
	i.send("a STARTTLS\r\nb NOOP\r\n")
	if i.shake(s.tlsConfig(t, d)) {
		i.send("c NOOP\r\n")
		if line, err := i.r.ReadString('\n'); err != nil || strings.HasPrefix(line, "b ") {
			t.Errorf("after the handshake came %q, %v", line, err)
		}
	}
}

// shake reads one line and starts TLS, or tells that the server has ended the connection.
func (w *wire) shake(config *tls.Config) bool {
	w.t.Helper()
	line, err := w.r.ReadString('\n')
	if err != nil {
		return false
	}
	conn := tls.Client(w.conn, config)
	if err := conn.Handshake(); err != nil {
		w.t.Logf("no handshake after %q: %v", line, err)
		return false
	}
	w.conn, w.r = conn, bufio.NewReader(conn)
	return true
}

// nonsense says what is wrong in IMAP, and expects a clear answer each time and a working session after.
func nonsense(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	conn, err := tls.Dial("tcp", a.out.imaps, s.tlsConfig(t, a.out))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	w := &wire{t, conn, bufio.NewReader(conn)}
	w.tagged("*")
	for i, c := range []struct{ line, want string }{
		{"SELECT INBOX", "BAD"}, // not logged in
		{"XYZZY", "BAD"},
		{"LOGIN " + a.address, "BAD"},
		{"LOGIN " + a.address + " wrong", "NO [AUTHENTICATIONFAILED]"},
		{"LOGIN {100000000}", "NO [TOOBIG]"},
		{`LOGIN ` + a.address + ` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.password) + `"`, "OK"},
		{"FETCH 1 FLAGS", "BAD"}, // nothing selected
		{"SELECT Nowhere", "NO"},
		{"SELECT INBOX", "OK"},
		{"FETCH 1:0 (", "BAD"},
		{"FETCH 0 FLAGS", "BAD"},
		{"SEARCH CHARSET X-NONE ALL", "NO [BADCHARSET"},
		{"STORE 1 FLAGS (\\NoSuch)", "BAD"},
		{"APPEND INBOX {99999999999}", "NO [TOOBIG]"},
		{"\x00\xff", "BAD"},
		{strings.Repeat("(", 500), "BAD"},
		{"NOOP", "OK"},
	} {
		tag := fmt.Sprint("t", i)
		w.send(tag + " " + c.line + "\r\n")
		if got := w.tagged(tag); !strings.HasPrefix(got, tag+" "+c.want) {
			t.Errorf("%.60q was answered %q, want %s", c.line, got, c.want)
		}
	}
}

// brokenMail delivers messages that break MIME, and reads all that is known of them.
func brokenMail(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	nested := func(n int) string {
		return strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", n)
	}
	for name, raw := range map[string]string{
		"nested":          "Subject: nested\r\n" + nested(1000) + "\r\ntext\r\n",
		"nested messages": "Subject: nested messages\r\n" + strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 1000) + "x\r\n",
		"many fields":     "Subject: many fields\r\n" + strings.Repeat("X-Field: value\r\n", 50_000) + "\r\ntext\r\n",
		"8-bit":           "Subject: 8-bit\r\nFrom: J\xf6rg <j@example.com>\r\nTo: \xff\xfe\r\n\r\n\xe4\r\n",
		"wrong charset":   "Subject: wrong charset\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xe4\xc3\xa4\r\n",
		"":                "this is no header\r\n\r\ntext\r\n",
		"addresses":       "Subject: addresses\r\nFrom: \"\r\nTo: (((, <<>, @, a@, :;\r\nCc: " + strings.Repeat("a@b,", 20_000) + "\r\n\r\n",
		"long line":       "Subject: long line\r\n\r\n" + strings.Repeat("x", 900) + "\r\n",
		"cut off":         "Subject: cut off\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n",
	} {
		w := startData(t, a)
		w.send(raw)
		w.expect(".", "250")
		text := a.text(t, "INBOX", name)
		if !strings.HasSuffix(text, raw) {
			t.Errorf("%q is not read as it was sent", name)
		}
	}
	c := a.dial(t)
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	all := imap.SeqSet{imap.SeqRange{Start: 1, Stop: 0}}
	list, err := c.Fetch(all, &imap.FetchOptions{Envelope: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true}}).Collect()
	if err != nil || len(list) != 9 {
		t.Errorf("%d messages fetched: %v", len(list), err)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Text: []string{"nonsense"}}, nil).Wait()
	if err != nil || len(found.AllUIDs()) != 1 {
		t.Errorf("search in broken mail found %v, %v", found, err)
	}
}
