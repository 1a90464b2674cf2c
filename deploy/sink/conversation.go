package sink

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// patience is how long a client may say nothing.
const patience = 2 * time.Minute

// conversation is one connection. It is for one goroutine, but for d, which others read under the sink's mutex, and end.
type conversation struct {
	sink   *Sink
	ctx    context.Context
	cancel context.CancelFunc
	first  net.Conn // below TLS; never changes, so that end may close it
	conn   net.Conn
	r      *bufio.Reader
	d      Delivery
}

func (c *conversation) on(conn net.Conn) {
	if c.first == nil {
		c.first = conn
	}
	c.conn, c.r = conn, bufio.NewReaderSize(conn, 16<<10)
}

// end ends the conversation from any goroutine.
func (c *conversation) end() {
	c.cancel()
	_ = c.first.Close()
}

// update changes what others may look at.
func (c *conversation) update(f func(*Delivery)) {
	c.sink.mu.Lock()
	defer c.sink.mu.Unlock()
	f(&c.d)
}

// errOver ends a conversation.
var errOver = errors.New("the conversation is over")

func (c *conversation) run() {
	if err := c.answer(Connect, "", "220 "+c.sink.c.Hostname+" ESMTP"); err != nil {
		return
	}
	for {
		_ = c.conn.SetDeadline(time.Now().Add(patience))
		line, err := c.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, _, _ := strings.Cut(line, " ")
		if err := c.command(strings.ToUpper(verb), line); err != nil {
			return
		}
	}
}

// answer gives what the configuration says, or the usual. usual is empty where nothing is said usually.
func (c *conversation) answer(verb, line, usual string) error {
	_, err := c.decide(verb, line, usual)
	return err
}

// decide does the same and reports whether it was the usual.
func (c *conversation) decide(verb, line, usual string) (bool, error) {
	a := c.sink.c.Answer(Step{Verb: verb, Line: line, Delivery: c.d})
	if a.Wait > 0 && !c.wait(a.Wait) {
		return false, errOver
	}
	if a.Reply != "" || !a.Close {
		reply := a.Reply
		if reply == "" {
			reply = usual
		}
		if reply != "" {
			_ = c.conn.SetDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(c.conn, strings.TrimSuffix(reply, "\r\n")+"\r\n"); err != nil {
				return false, err
			}
		}
	}
	if a.Close {
		return false, errOver
	}
	return a.Reply == "", nil
}

// wait reports false where the client left, or the sink ended, in the meantime.
func (c *conversation) wait(d time.Duration) bool {
	left := make(chan bool, 1)
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	go func() {
		_, err := c.r.Peek(c.r.Buffered() + 1)
		var timeout net.Error
		left <- err != nil && (!errors.As(err, &timeout) || !timeout.Timeout()) && !errors.Is(err, bufio.ErrBufferFull)
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case gone := <-left:
		if gone {
			return false
		}
		select {
		case <-timer.C:
			return true
		case <-c.ctx.Done():
			return false
		}
	case <-c.ctx.Done():
		<-left
		return false
	}
}

func (c *conversation) command(verb, line string) error {
	switch verb {
	case "EHLO", "HELO":
		_, name, _ := strings.Cut(line, " ")
		c.update(func(d *Delivery) { d.Hello = name })
		return c.answer(verb, line, c.extensions(verb))
	case "STARTTLS":
		return c.secure(line)
	case "MAIL":
		usual, err := c.decide(verb, line, "250 2.1.0 OK")
		if usual {
			from, _ := strings.CutPrefix(line[len(verb):], " ")
			c.update(func(d *Delivery) { d.From, d.To, d.Octets, d.Began = from, nil, nil, time.Now() })
		}
		return err
	case "RCPT":
		usual, err := c.decide(verb, line, "250 2.1.5 OK")
		if usual {
			c.update(func(d *Delivery) { d.To = append(d.To[:len(d.To):len(d.To)], address(line)) })
		}
		return err
	case "DATA":
		if len(c.d.To) == 0 {
			return c.answer(verb, line, "554 5.5.1 No recipients")
		}
		usual, err := c.decide(verb, line, "354 Go on")
		if err != nil || !usual {
			return err
		}
		return c.message()
	case "RSET":
		c.reset()
		return c.answer(verb, line, "250 2.0.0 OK")
	case "NOOP":
		return c.answer(verb, line, "250 2.0.0 OK")
	case "QUIT":
		_ = c.answer(verb, line, "221 2.0.0 Bye")
		return errOver
	}
	return c.answer(verb, line, "500 5.5.2 What?")
}

func (c *conversation) reset() {
	c.update(func(d *Delivery) { d.From, d.To, d.Octets = "", nil, nil })
}

func (c *conversation) extensions(verb string) string {
	name := c.sink.c.Hostname
	if verb == "HELO" {
		return "250 " + name
	}
	lines := []string{name, "PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"}
	if c.sink.c.TLS != nil && !c.d.TLS {
		lines = append(lines, "STARTTLS")
	}
	return "250-" + strings.Join(lines[:len(lines)-1], "\r\n250-") + "\r\n250 " + lines[len(lines)-1]
}

// secure begins TLS.
func (c *conversation) secure(line string) error {
	if c.sink.c.TLS == nil || c.d.TLS {
		return c.answer("STARTTLS", line, "502 5.5.1 Not here")
	}
	usual, err := c.decide("STARTTLS", line, "220 2.0.0 Go on")
	if err != nil || !usual {
		return err
	}
	secured := tls.Server(c.conn, c.sink.c.TLS)
	if err := secured.HandshakeContext(c.ctx); err != nil {
		return err
	}
	c.on(secured)
	c.update(func(d *Delivery) { d.TLS, d.Hello = true, "" })
	return nil
}

// message takes the octets of a message.
func (c *conversation) message() error {
	var b bytes.Buffer
	for told := false; ; {
		_ = c.conn.SetDeadline(time.Now().Add(patience))
		line, err := c.r.ReadBytes('\n')
		if err != nil {
			return err
		}
		if string(line) == ".\r\n" {
			break
		}
		b.Write(bytes.TrimPrefix(line, []byte(".")))
		if !told && b.Len() >= 512 {
			told = true
			if err := c.answer(Octets, "", ""); err != nil {
				return err
			}
		}
	}
	c.update(func(d *Delivery) { d.Octets, d.Ended = b.Bytes(), time.Now() })
	// What is said to the dot is decided first and said last: a message counts before its sender knows.
	a := c.sink.c.Answer(Step{Verb: Dot, Delivery: c.d})
	if a.Wait > 0 && !c.wait(a.Wait) {
		return errOver
	}
	taken := a.Reply == "" || strings.HasPrefix(a.Reply, "2")
	if taken {
		c.sink.c.Taken(c.d)
	}
	c.reset()
	if a.Close && a.Reply == "" {
		return errOver
	}
	if a.Reply == "" {
		a.Reply = "250 2.0.0 Taken"
	}
	_, err := io.WriteString(c.conn, strings.TrimSuffix(a.Reply, "\r\n")+"\r\n")
	if a.Close {
		return errOver
	}
	return err
}

// address is the address of a RCPT command.
func address(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	a, _, _ := strings.Cut(rest, ">")
	return a
}
