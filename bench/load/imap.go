package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// IMAP is one connection of a client that understands just enough of the answers to know where they end:
// parsing what a server sends must not cost more than sending it. Not for concurrent use.
type IMAP struct {
	conn   net.Conn
	r      *bufio.Reader
	w      *bufio.Writer
	tag    int
	cancel func() bool
}

// DialIMAP connects and logs in. Ending ctx breaks the connection.
func DialIMAP(ctx context.Context, door Door, login Login) (*IMAP, error) {
	conn, err := dial(ctx, door)
	if err != nil {
		return nil, err
	}
	c := newIMAP(conn)
	c.cancel = context.AfterFunc(ctx, func() { _ = conn.Close() }) // a deadline would be moved by the next command
	if err := c.greet(door.Security, login); err != nil {
		c.Close()
		return nil, fmt.Errorf("log in at %s: %w", door.Address, err)
	}
	return c, nil
}

func newIMAP(conn net.Conn) *IMAP {
	return &IMAP{conn: conn, r: bufio.NewReaderSize(conn, 32<<10), w: bufio.NewWriter(conn), cancel: func() bool { return true }}
}

// Shrink gives back the buffers of a connection that will only wait.
func (c *IMAP) Shrink() { c.r, c.w = bufio.NewReaderSize(c.conn, 16), bufio.NewWriterSize(c.conn, 16) }

func (c *IMAP) greet(s Security, login Login) error {
	_ = c.conn.SetDeadline(time.Now().Add(replyTimeout)) // a closed connection shows at the next read
	greeting, err := c.r.ReadString('\n')
	if err != nil {
		return fmt.Errorf("wait for the greeting: %w", err)
	}
	if !strings.HasPrefix(greeting, "* OK") && !strings.HasPrefix(greeting, "* PREAUTH") {
		return fmt.Errorf("the server greets with: %s", strings.TrimSpace(greeting))
	}
	if s == StartTLS {
		if _, err := c.Do("STARTTLS"); err != nil {
			return err
		}
		conn := tls.Client(c.conn, clientTLS())
		if err := conn.Handshake(); err != nil {
			return fmt.Errorf("start TLS: %w", err)
		}
		c.conn, c.r, c.w = conn, bufio.NewReaderSize(conn, 32<<10), bufio.NewWriter(conn)
	}
	_, err = c.Do("LOGIN " + quote(login.Address) + " " + quote(login.Password))
	return err
}

func quote(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }

// Do sends a command and reads until its tagged response. An answer other than OK is an error.
func (c *IMAP) Do(command string) (Answer, error) { return c.Each(command, nil) }

// Each is Do and calls f with every untagged response: its text without literals, and the literals.
func (c *IMAP) Each(command string, f func(line string, literals [][]byte)) (Answer, error) {
	tag := c.next()
	_ = c.conn.SetDeadline(time.Now().Add(5 * replyTimeout)) // a search in a huge mailbox may take its time
	if _, err := c.w.WriteString(tag + " " + command + "\r\n"); err != nil {
		return Answer{}, fmt.Errorf("send %.40s: %w", command, err)
	}
	if err := c.w.Flush(); err != nil {
		return Answer{}, fmt.Errorf("send %.40s: %w", command, err)
	}
	a := Answer{untagged: f}
	if err := a.read(c.r, tag); err != nil {
		return a, fmt.Errorf("%.40s: %w", command, err)
	}
	return a, nil
}

func (c *IMAP) next() string {
	c.tag++
	return "b" + strconv.Itoa(c.tag)
}

// Append stores messages in a mailbox without waiting for each (LITERAL+, RFC 7888), and returns when
// all are answered.
func (c *IMAP) Append(mailbox, flags string, messages [][]byte) error {
	_ = c.conn.SetDeadline(time.Now().Add(5 * replyTimeout)) // as in Each
	tags := make([]string, 0, len(messages))
	for _, m := range messages {
		tag := c.next()
		tags = append(tags, tag)
		fmt.Fprintf(c.w, "%s APPEND %s (%s) {%d+}\r\n", tag, quote(mailbox), flags, len(m)) // errors stay in the writer
		c.w.Write(m)
		c.w.WriteString("\r\n")
	}
	if err := c.w.Flush(); err != nil {
		return fmt.Errorf("append to %s: %w", mailbox, err)
	}
	for _, tag := range tags {
		var a Answer
		if err := a.read(c.r, tag); err != nil {
			return fmt.Errorf("append to %s: %w", mailbox, err)
		}
	}
	return nil
}

// Count is the number of messages of a mailbox.
func (c *IMAP) Count(mailbox string) (int, error) {
	count := -1
	_, err := c.Each("STATUS "+quote(mailbox)+" (MESSAGES)", func(line string, _ [][]byte) {
		if _, rest, ok := strings.Cut(line, "(MESSAGES "); ok {
			if n, err := strconv.Atoi(strings.TrimRight(rest, ") ")); err == nil {
				count = n
			}
		}
	})
	if err == nil && count < 0 {
		err = fmt.Errorf("STATUS of %s: the server did not tell MESSAGES", mailbox)
	}
	return count, err
}

// Idle begins to wait for news (RFC 2177); the connection is of no other use afterwards.
func (c *IMAP) Idle() error {
	if _, err := io.WriteString(c.conn, c.next()+" IDLE\r\n"); err != nil {
		return fmt.Errorf("send IDLE: %w", err)
	}
	line, err := c.r.ReadString('\n')
	for err == nil && strings.HasPrefix(line, "*") {
		line, err = c.r.ReadString('\n')
	}
	if err != nil {
		return fmt.Errorf("wait for IDLE: %w", err)
	}
	if !strings.HasPrefix(line, "+") {
		return fmt.Errorf("IDLE: the server said: %s", strings.TrimSpace(line))
	}
	return c.conn.SetDeadline(time.Time{})
}

// WaitClosed returns when the server or Close ends an idle connection.
func (c *IMAP) WaitClosed() {
	for {
		if _, err := c.r.ReadByte(); err != nil {
			return
		}
	}
}

// Close frees the connection without a word.
func (c *IMAP) Close() {
	c.cancel()
	_ = c.conn.Close() // there is nothing to save
}
