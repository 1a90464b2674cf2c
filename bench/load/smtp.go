// Package load drives mail servers with a load that is the same for every server: it speaks SMTP and
// IMAP and reads process accounting, and imports nothing of the product, so that any build and any other
// server can be measured. Its clients are small, so that they leave the processors to the server. It
// judges nothing; it returns samples.
package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// replyTimeout bounds each wait for a server: a bench must end.
const replyTimeout = 60 * time.Second

// Refusal is a negative reply of an SMTP server.
type Refusal struct {
	Command string // what was refused
	Code    int    // RFC 5321 section 4.2
	Text    string // the reply's last line
}

// Error tells command and reply, and what to look for after those that mean "not now".
func (r *Refusal) Error() string {
	text := fmt.Sprintf("the server refused %s: %s", r.Command, r.Text)
	switch {
	case r.Code == 452 && strings.Contains(r.Text, "4.3.1"): // RFC 3463 section 3.4: mail system full
		return text + " (its disk is full: make room, or let --dir name another)"
	case r.Temporary():
		return text + " (not now: look for greylisting, a limit on connections or a full queue, and ask for less with --connections)"
	}
	return text
}

// Temporary tells a 4xx, after which the same message may be tried again.
func (r *Refusal) Temporary() bool { return r.Code/100 == 4 }

// SMTP is one connection of a client. Not for concurrent use.
type SMTP struct {
	conn   net.Conn
	r      *bufio.Reader
	buf    []byte
	lmtp   bool
	cancel func() bool
}

// DialSMTP connects and greets; with a login it authenticates (AUTH PLAIN). Ending ctx breaks the connection.
func DialSMTP(ctx context.Context, door Door, login *Login) (*SMTP, error) {
	conn, err := dial(ctx, door)
	if err != nil {
		return nil, err
	}
	c := &SMTP{conn: conn, r: bufio.NewReader(conn), lmtp: door.LMTP}
	c.cancel = context.AfterFunc(ctx, func() { _ = conn.Close() }) // a deadline would be moved by the next command
	if err := c.greet(door.Security, login); err != nil {
		c.Close()
		return nil, fmt.Errorf("greet %s: %w", door.Address, err)
	}
	return c, nil
}

func (c *SMTP) greet(s Security, login *Login) error {
	if err := c.expect("the connection", 220); err != nil {
		return err
	}
	hello := "EHLO bench.example"
	if c.lmtp {
		hello = "LHLO bench.example"
	}
	if err := c.command(hello, 250); err != nil {
		return err
	}
	if s == StartTLS {
		if err := c.command("STARTTLS", 220); err != nil {
			return err
		}
		conn := tls.Client(c.conn, clientTLS())
		if err := conn.Handshake(); err != nil {
			return fmt.Errorf("start TLS: %w", err)
		}
		c.conn, c.r = conn, bufio.NewReader(conn)
		if err := c.command(hello, 250); err != nil {
			return err
		}
	}
	if login == nil {
		return nil
	}
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + login.Address + "\x00" + login.Password))
	return c.command("AUTH PLAIN "+plain, 235)
}

// Send delivers one message to all recipients, the envelope pipelined (RFC 2920), and returns how long
// the server took from the final dot to its reply. An error that is no Refusal leaves the connection unusable.
func (c *SMTP) Send(from string, recipients []string, body []byte) (time.Duration, error) {
	_ = c.conn.SetDeadline(time.Now().Add(replyTimeout)) // a closed connection shows at the next write
	c.buf = append(append(append(c.buf[:0], "MAIL FROM:<"...), from...), ">\r\n"...)
	for _, r := range recipients {
		c.buf = append(append(append(c.buf, "RCPT TO:<"...), r...), ">\r\n"...)
	}
	if _, err := c.conn.Write(append(c.buf, "DATA\r\n"...)); err != nil {
		return 0, fmt.Errorf("send an envelope: %w", err)
	}
	if err := c.envelope(len(recipients)); err != nil {
		return 0, err
	}
	c.buf = append(stuff(c.buf[:0], body), ".\r\n"...)
	if _, err := c.conn.Write(c.buf); err != nil {
		return 0, fmt.Errorf("send a message: %w", err)
	}
	start := time.Now()
	replies := 1
	if c.lmtp {
		replies = len(recipients)
	}
	for range replies {
		if err := c.expect("the message", 250); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// envelope reads the replies to MAIL, RCPT and DATA. The first refusal counts; the rest is read, so that
// the connection stays in step.
func (c *SMTP) envelope(recipients int) error {
	var first error
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	note(c.expect("MAIL", 250))
	for range recipients {
		note(c.expect("RCPT", 250))
	}
	err := c.expect("DATA", 354)
	if first == nil {
		return err
	}
	if err == nil { // some recipients were taken: this message is not sent in part
		_, _ = io.WriteString(c.conn, ".\r\n") // what follows is an error anyway
		return fmt.Errorf("a part of the recipients was refused: %w", first)
	}
	if reset := c.command("RSET", 250); reset != nil {
		return reset
	}
	return first
}

// stuff appends body with dots at line starts doubled (RFC 5321 section 4.5.2).
func stuff(dst, body []byte) []byte {
	for {
		if len(body) > 0 && body[0] == '.' {
			dst = append(dst, '.')
		}
		i := bytes.Index(body, []byte("\r\n."))
		if i < 0 {
			return append(dst, body...)
		}
		dst, body = append(dst, body[:i+2]...), body[i+2:]
	}
}

// Quit ends the connection politely and frees it.
func (c *SMTP) Quit() error {
	defer c.Close()
	return c.command("QUIT", 221)
}

// Close frees the connection without a word.
func (c *SMTP) Close() {
	c.cancel()
	_ = c.conn.Close() // there is nothing to save
}

func (c *SMTP) command(line string, code int) error {
	_ = c.conn.SetDeadline(time.Now().Add(replyTimeout)) // a closed connection shows at the next write
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return fmt.Errorf("send %s: %w", line, err)
	}
	word, _, _ := strings.Cut(line, " ")
	return c.expect(word, code)
}

// expect reads one reply and holds it against the wanted code.
func (c *SMTP) expect(what string, code int) error {
	got, text, err := readReply(c.r)
	if err != nil {
		return fmt.Errorf("wait for the reply to %s: %w", what, err)
	}
	if got != code {
		return &Refusal{Command: what, Code: got, Text: text}
	}
	return nil
}

// readReply reads a reply of one or more lines and returns its code and its last line.
func readReply(r *bufio.Reader) (code int, text string, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, "", err
		}
		text = strings.TrimRight(string(line), "\r\n")
		if len(text) < 3 {
			return 0, "", fmt.Errorf("not an SMTP reply: %q", text)
		}
		code, err = strconv.Atoi(text[:3])
		if err != nil || code < 200 || code > 599 {
			return 0, "", fmt.Errorf("not an SMTP reply: %q", text)
		}
		if len(text) == 3 || text[3] != '-' {
			return code, text, nil
		}
	}
}
