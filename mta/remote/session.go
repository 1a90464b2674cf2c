package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
)

// session is a connection to a host. It is for one goroutine.
type session struct {
	client *Client
	place  place
	need   tlspolicy.Need
	hop    *Hop
	conn   net.Conn
	r      *bufio.Reader
	w      *bufio.Writer
	timer  *time.Timer // while it is kept

	ext   map[string]string // extensions by keyword in capitals, with their parameters
	tls   string
	greet string // the name by which the host greets
	spoke bool   // the host has answered something in this use
	uses  int
	most  int // uses that it may have
}

// connect connects to a place and says hello, with TLS where it is offered and secure is asked for. What is needed of the host and
// not met is a *tlspolicy.Refusal. again says that without TLS the host may be had.
func (c *Client) connect(ctx context.Context, p place, hop *Hop, need tlspolicy.Need, secure bool) (s *session, again bool, err error) {
	dialing, cancel := context.WithTimeout(ctx, c.c.Limits.Connect)
	defer cancel()
	conn, err := c.c.Dial(dialing, p.source, p.address)
	if err != nil {
		return nil, false, fmt.Errorf("connect to %s: %w", p.host, err)
	}
	s = &session{client: c, place: p, need: need, hop: hop, conn: conn}
	s.on(conn)
	defer context.AfterFunc(ctx, s.interrupt)()
	if p.implicit() {
		_, err = s.encrypt(ctx)
	}
	if err == nil {
		again, err = s.begin(ctx, secure)
	}
	if err == nil {
		err = s.authenticate()
	}
	if err != nil {
		s.close()
		return s, again, err
	}
	return s, false, nil
}

func (s *session) on(conn net.Conn) {
	s.conn, s.r, s.w = conn, bufio.NewReaderSize(conn, 4<<10), bufio.NewWriterSize(conn, 16<<10)
}

// begin takes the greeting, says hello and starts TLS.
func (s *session) begin(ctx context.Context, secure bool) (again bool, err error) {
	limits := s.client.c.Limits
	greeting, err := s.reply(limits.Greeting)
	if err != nil {
		return false, fmt.Errorf("wait for the greeting of %s: %w", s.place.host, err)
	}
	if greeting.Code != 220 {
		return false, greeting
	}
	s.greet, _, _ = strings.Cut(greeting.Text, " ")
	if err := s.hello(); err != nil {
		return false, err
	}
	if s.tls == "" && !secure {
		return false, s.clear()
	}
	if s.tls == "" {
		again, err = s.startTLS(ctx)
	}
	if err == nil {
		err = s.extension()
	}
	return again, err
}

// hello says EHLO, or HELO to a host that does not know it.
func (s *session) hello() error {
	name := s.place.source.Hello
	if name == "" {
		name = s.client.c.Hostname
	}
	r, err := s.command(s.client.c.Limits.Command, "EHLO "+name)
	if err != nil {
		return err
	}
	s.ext = map[string]string{}
	if r.Code == 250 {
		for i, line := range strings.Split(r.Text, "\n") {
			keyword, parameters, _ := strings.Cut(line, " ")
			if i > 0 {
				s.ext[strings.ToUpper(keyword)] = parameters
			}
		}
		return nil
	}
	if r.Temporary() {
		return r
	}
	if r, err = s.command(s.client.c.Limits.Command, "HELO "+name); err != nil {
		return err
	}
	if r.Code != 250 {
		return r
	}
	return nil
}

// command sends a line and waits for the reply.
func (s *session) command(wait time.Duration, line string) (*mta.Reply, error) {
	s.write(line)
	if err := s.flush(wait); err != nil {
		return nil, err
	}
	return s.reply(wait)
}

func (s *session) write(line string) {
	_, _ = s.w.WriteString(line) // Flush tells
	_, _ = s.w.WriteString("\r\n")
}

func (s *session) flush(wait time.Duration) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(wait))
	return s.w.Flush()
}

// errReply says that a host's words are no reply.
var errReply = errors.New("the host's answer is no SMTP reply")

// reply reads one reply. Enhanced codes are taken off the text where each line has the same.
func (s *session) reply(wait time.Duration) (*mta.Reply, error) {
	_ = s.conn.SetReadDeadline(time.Now().Add(wait))
	r := &mta.Reply{}
	left := s.client.c.Limits.Reply
	for {
		line, err := s.line(&left)
		if err != nil {
			return nil, err
		}
		code, text, more, err := cut(line)
		if err != nil {
			return nil, err
		}
		if r.Code == 0 {
			r.Code = code
			r.Enhanced, r.Text = enhanced(code, text)
		} else {
			if code != r.Code {
				return nil, fmt.Errorf("%w: %d and %d in one", errReply, r.Code, code)
			}
			if e, rest := enhanced(code, text); e == r.Enhanced {
				text = rest
			}
			r.Text += "\n" + text
		}
		if !more {
			s.spoke = true
			if r.Code == 421 {
				return r, r
			}
			return r, nil
		}
	}
}

// line reads a line without its end, of at most left octets.
func (s *session) line(left *int) (string, error) {
	var b strings.Builder
	for {
		part, err := s.r.ReadSlice('\n')
		if *left -= len(part); *left < 0 {
			return "", fmt.Errorf("%w: more than %d octets", errReply, s.client.c.Limits.Reply)
		}
		b.Write(part)
		if err == nil {
			return strings.TrimRight(b.String(), "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
}

// cut parts a line of a reply (RFC 5321, section 4.2).
func cut(line string) (code int, text string, more bool, err error) {
	if len(line) < 3 {
		return 0, "", false, fmt.Errorf("%w: %.80q", errReply, line)
	}
	code, err = strconv.Atoi(line[:3])
	if err != nil || code < 200 || code > 599 {
		return 0, "", false, fmt.Errorf("%w: %.80q", errReply, line)
	}
	if len(line) == 3 {
		return code, "", false, nil
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, "", false, fmt.Errorf("%w: %.80q", errReply, line)
	}
	return code, line[4:], line[3] == '-', nil
}

// enhanced takes an enhanced status code off the front of a text (RFC 2034, section 4).
func enhanced(code int, text string) (mta.Enhanced, string) {
	word, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || len(word) > 9 || parts[0] != strconv.Itoa(code/100) {
		return "", text
	}
	for _, p := range parts[1:] {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || len(p) > 3 {
			return "", text
		}
	}
	return mta.Enhanced(word), rest
}

// interrupt ends what waits for the host.
func (s *session) interrupt() { _ = s.conn.SetDeadline(time.Unix(1, 0)) }

func (s *session) close() { _ = s.conn.Close() }

// quit says goodbye and does not wait for the answer (RFC 5321, section 4.1.1.10, would have us).
func (s *session) quit() {
	s.write("QUIT")
	_ = s.flush(time.Second)
	s.close()
}
