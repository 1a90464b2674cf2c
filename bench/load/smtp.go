// Package load drives mail servers with a load that is the same for every server: it speaks SMTP and
// reads process accounting, and imports nothing of the product, so that any build and any other
// server can be measured. It judges nothing; it returns samples.
package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Delivery is a load of equal messages over a number of connections.
type Delivery struct {
	Targets     []string // host:port of SMTP servers; connections are spread over them
	Recipients  []string // each message goes to one, in turn
	Messages    int
	Connections int
	Size        int // octets of each message, header included
}

// Result is what a Delivery saw.
type Result struct {
	Accepted  int
	Elapsed   time.Duration
	Latencies []time.Duration // from the final dot to the reply, of accepted messages
}

// Run delivers the messages and returns when all are answered. The first refusal ends it.
func (d Delivery) Run(ctx context.Context) (Result, error) {
	if len(d.Targets) == 0 || len(d.Recipients) == 0 || d.Connections < 1 {
		return Result{}, errors.New("a delivery needs targets, recipients and connections")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		mu    sync.Mutex
		out   Result
		first error
	)
	start := time.Now()
	for i := range d.Connections {
		wg.Go(func() {
			latencies, err := d.connection(ctx, d.Targets[i%len(d.Targets)], &next)
			mu.Lock()
			defer mu.Unlock()
			out.Latencies = append(out.Latencies, latencies...)
			if err != nil && first == nil {
				first = err
				cancel()
			}
		})
	}
	wg.Wait()
	out.Elapsed, out.Accepted = time.Since(start), len(out.Latencies)
	return out, first
}

// connection delivers messages over one connection until none is left.
func (d Delivery) connection(ctx context.Context, target string, next *atomic.Int64) ([]time.Duration, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	c := &client{conn: conn, r: bufio.NewReader(conn)}
	if err := c.expect("", "220"); err != nil {
		return nil, err
	}
	if err := c.expect("EHLO bench.example\r\n", "250"); err != nil {
		return nil, err
	}
	var latencies []time.Duration
	for {
		n := int(next.Add(1)) - 1
		if n >= d.Messages {
			return latencies, c.expect("QUIT\r\n", "221")
		}
		took, err := c.deliver(d.Recipients[n%len(d.Recipients)], message(n, d.Size))
		if err != nil {
			return latencies, fmt.Errorf("message %d to %s: %w", n, target, err)
		}
		latencies = append(latencies, took)
	}
}

// client is one SMTP connection.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

// deliver sends one message with its envelope pipelined (RFC 2920).
func (c *client) deliver(recipient string, body []byte) (time.Duration, error) {
	if _, err := fmt.Fprintf(c.conn, "MAIL FROM:<load@bench.example>\r\nRCPT TO:<%s>\r\nDATA\r\n", recipient); err != nil {
		return 0, err
	}
	for _, want := range []string{"250", "250", "354"} {
		if err := c.expect("", want); err != nil {
			return 0, err
		}
	}
	if _, err := c.conn.Write(body); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := c.expect("", "250"); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

// expect sends a line, if there is one, and reads a reply of the wanted code.
func (c *client) expect(line, code string) error {
	if line != "" {
		if _, err := io.WriteString(c.conn, line); err != nil {
			return err
		}
	}
	for {
		reply, err := c.r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("wait for %s: %w", code, err)
		}
		if !strings.HasPrefix(reply, code) {
			return fmt.Errorf("wanted %s, the server said: %s", code, strings.TrimSpace(reply))
		}
		if len(reply) < 4 || reply[3] != '-' {
			return nil
		}
	}
}

// message makes the n-th message of a run: text that compresses about as well as mail does, different
// in each, with its final dot.
func message(n, size int) []byte {
	b := make([]byte, 0, size+16)
	b = append(b, "From: Load <load@bench.example>\r\nTo: someone@example.org\r\nSubject: message "...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, "\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <"...)
	b = strconv.AppendInt(b, time.Now().UnixNano(), 36)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, "@bench.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"...)
	state := uint64(n)*0x9e3779b97f4a7c15 + 1
	for line := 0; len(b) < size-2; {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		word := words[state%uint64(len(words))]
		if line+len(word) > 72 {
			b = append(b, '\r', '\n')
			line = 0
		}
		b = append(append(b, word...), ' ')
		line += len(word) + 1
	}
	return append(b, "\r\n.\r\n"...)
}

// words are what the messages are made of.
var words = strings.Fields(`the mail of an institution is mostly text about meetings rooms dates papers
 students budgets and the weather forwarded three times with all of the earlier words quoted below
 please find attached regards minutes agenda schedule deadline review draft version final update
 question answer thanks invoice travel seminar lecture thesis committee proposal grant report`)
