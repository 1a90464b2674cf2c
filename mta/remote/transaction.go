package remote

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

// transaction sends the message to those recipients that are open, over a connection. An error ends the connection; those
// that have no result then are asked of another host.
func (a *attempt) transaction(s *session) error {
	s.uses++
	if s.most = s.client.c.Limits.Uses; a.job.Uses > 0 {
		s.most = a.job.Uses
	}
	s.spoke = false
	if err := s.clear(); err != nil && s.tls == "" {
		return err // Invariant: nothing goes in clear that must not
	}
	mail, refusal := a.mail(s)
	if refusal != nil {
		a.settle(s, a.open, *refusal)
		return nil
	}
	_, pipelining := s.ext["PIPELINING"]
	limits := s.client.c.Limits
	list := a.open
	s.write(mail)
	if pipelining {
		for _, i := range list {
			s.write(a.rcpt(s, i))
		}
		s.write("DATA")
	}
	if err := s.flush(limits.Command); err != nil {
		return err
	}
	r, err := s.reply(limits.Command)
	if err != nil {
		return err
	}
	if !r.Positive() {
		if pipelining {
			if err := a.drain(s, len(list)); err != nil {
				return err
			}
		} else if err := s.reset(); err != nil {
			return err
		}
		a.settle(s, list, *r)
		return nil
	}
	taken, err := a.recipients(s, list, pipelining)
	if err != nil {
		return err
	}
	return a.data(s, taken, pipelining)
}

// mail is the MAIL command, or why the host cannot take the message.
func (a *attempt) mail(s *session) (string, *mta.Reply) {
	env := a.job.Envelope
	var b strings.Builder
	fmt.Fprintf(&b, "MAIL FROM:<%s>", env.From)
	if limit, ok := s.ext["SIZE"]; ok {
		if n, err := strconv.ParseInt(limit, 10, 64); err == nil && n > 0 && env.Size > n {
			return "", mta.Replyf(552, mta.TooBig, "The message has %d octets, the host takes %d", env.Size, n)
		}
		fmt.Fprintf(&b, " SIZE=%d", env.Size)
	}
	_, eight := s.ext["8BITMIME"]
	_, utf8 := s.ext["SMTPUTF8"]
	if env.Body == mta.Body8Bit || env.UTF8 {
		if eight {
			b.WriteString(" BODY=8BITMIME")
		} else if !a.sevenBit() {
			return "", mta.Replyf(0, noConversion, "The message has octets above 127, and the host takes none")
		}
	}
	if env.UTF8 {
		switch {
		case utf8:
			b.WriteString(" SMTPUTF8")
		case !a.plain():
			return "", mta.Replyf(0, mta.NeedsUTF8, "The message needs SMTPUTF8, and the host does not know it")
		}
	}
	if s.need.Extension {
		b.WriteString(" REQUIRETLS")
	}
	if _, dsn := s.ext["DSN"]; dsn {
		if env.Return != mta.ReturnUnsaid {
			fmt.Fprintf(&b, " RET=%s", env.Return)
		}
		if env.EnvID != "" {
			fmt.Fprintf(&b, " ENVID=%s", env.EnvID)
		}
	}
	wishes, refusal := a.wishes(s, time.Now())
	return b.String() + wishes, refusal
}

func (a *attempt) rcpt(s *session, i int) string {
	r := a.job.Recipients[i]
	line := "RCPT TO:<" + r.Address + ">"
	if _, dsn := s.ext["DSN"]; dsn {
		if r.Notify != 0 {
			line += " NOTIFY=" + r.Notify.String()
		}
		if r.ORCPT != "" {
			line += " ORCPT=" + r.ORCPT
		}
	}
	return line
}

// drain reads the replies to what was sent behind a MAIL that was refused. A host that goes on to take the
// message gets none.
func (a *attempt) drain(s *session, recipients int) error {
	for range recipients {
		if _, err := s.reply(s.client.c.Limits.Command); err != nil {
			return err
		}
	}
	r, err := s.reply(s.client.c.Limits.Command)
	if err != nil {
		return err
	}
	if r.Code == 354 {
		return s.nothing()
	}
	return nil
}

// nothing sends a message of no octets, which a host must refuse that took no recipient (RFC 2920, section 3.1).
func (s *session) nothing() error {
	_, err := s.command(s.client.c.Limits.Dot, ".")
	return err
}

func (s *session) reset() error {
	_, err := s.command(s.client.c.Limits.Command, "RSET")
	return err
}

// recipients asks for each recipient, and settles those that are refused.
func (a *attempt) recipients(s *session, list []int, pipelining bool) (taken []int, err error) {
	for _, i := range list {
		var r *mta.Reply
		if pipelining {
			r, err = s.reply(s.client.c.Limits.Command)
		} else {
			r, err = s.command(s.client.c.Limits.Command, a.rcpt(s, i))
		}
		if err != nil {
			return nil, err
		}
		if r.Positive() {
			taken = append(taken, i)
		} else {
			a.settle(s, []int{i}, *r)
		}
	}
	return taken, nil
}

// data sends the message, and settles those who were taken.
func (a *attempt) data(s *session, taken []int, pipelining bool) error {
	limits := s.client.c.Limits
	if len(taken) == 0 && !pipelining {
		return s.reset()
	}
	if !pipelining {
		s.write("DATA")
		if err := s.flush(limits.Command); err != nil {
			return err
		}
	}
	r, err := s.reply(limits.Command)
	switch {
	case err != nil:
		return err
	case len(taken) == 0 && r.Code == 354:
		return s.nothing()
	case len(taken) == 0:
		return nil
	case r.Code != 354:
		if r.Positive() {
			r = mta.Replyf(0, badReply, "The host answers DATA with %d %s", r.Code, r.Text)
		}
		a.settle(s, taken, *r)
		return s.reset()
	}
	if err := a.send(s); err != nil {
		return err
	}
	if r, err = s.reply(limits.Dot); err != nil {
		return err
	}
	a.settle(s, taken, *r)
	return nil
}

// send sends the octets of the message and the line that ends it.
func (a *attempt) send(s *session) error {
	body, err := a.job.Open()
	if err != nil {
		return fmt.Errorf("open the message: %w", err)
	}
	defer body.Close()
	d := &dotWriter{w: s.w, start: true}
	buffer := make([]byte, 16<<10)
	for {
		n, err := body.Read(buffer)
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.client.c.Limits.Data))
		if err := d.write(buffer[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read the message: %w", err) // the host never sees its end
		}
	}
	if !d.start {
		s.write("")
	}
	s.write(".")
	return s.flush(s.client.c.Limits.Data)
}

// dotWriter doubles a dot that begins a line (RFC 5321, section 4.5.2).
type dotWriter struct {
	w     *bufio.Writer
	start bool // of a line
}

func (d *dotWriter) write(p []byte) error {
	for len(p) > 0 {
		if d.start && p[0] == '.' {
			if err := d.w.WriteByte('.'); err != nil {
				return err
			}
		}
		n := len(p)
		for i, c := range p {
			if c == '\n' {
				n = i + 1
				break
			}
		}
		if _, err := d.w.Write(p[:n]); err != nil {
			return err
		}
		d.start = p[n-1] == '\n'
		p = p[n:]
	}
	return nil
}

// settle gives recipients the result that a reply is.
func (a *attempt) settle(s *session, list []int, r mta.Reply) {
	result := Result{Kind: kindOf(r), Host: s.place.host, Address: s.place.address.Addr().String(), TLS: s.tls, Reply: r, Reached: true}
	_, result.Reports = s.ext["DSN"]
	_, result.By = s.ext["DELIVERBY"]
	done := map[int]bool{}
	for _, i := range list {
		a.results[i] = result
		done[i] = true
	}
	var open []int
	for _, i := range a.open {
		if !done[i] {
			open = append(open, i)
		}
	}
	a.open = open
}

// kindOf says what a reply means for a recipient. 552 stands for 452 where a host has too many recipients (RFC 5321,
// section 4.5.3.1.10), and some hosts put off with a 5yz.
func kindOf(r mta.Reply) Kind {
	text := strings.ToLower(r.Text)
	switch {
	case r.Code >= 200 && r.Code < 300:
		return Delivered
	case r.Code == 552 && (r.Enhanced == "5.5.3" || strings.Contains(text, "too many recipients")),
		r.Permanent() && (strings.Contains(text, "greylist") || strings.Contains(text, "graylist")):
		return Temporary
	case r.Permanent(), r.Code == 0 && strings.HasPrefix(string(r.Enhanced), "5"):
		return Permanent
	}
	return Temporary
}

// sevenBit reports whether the message has no octet above 127.
func (a *attempt) sevenBit() bool { return a.scan(false) }

// plain reports whether neither addresses nor the header need SMTPUTF8.
func (a *attempt) plain() bool {
	texts := []string{a.job.Envelope.From}
	for _, i := range a.open {
		texts = append(texts, a.job.Recipients[i].Address)
	}
	for _, s := range texts {
		for i := range len(s) {
			if s[i] >= 0x80 {
				return false
			}
		}
	}
	return a.scan(true)
}

// scan reads the message, or its header, and reports whether it has no octet above 127. What cannot be read
// counts as having one.
func (a *attempt) scan(header bool) bool {
	body, err := a.job.Open()
	if err != nil {
		return false
	}
	defer body.Close()
	r := bufio.NewReader(body)
	for start := true; ; {
		line, err := r.ReadSlice('\n')
		for _, c := range line {
			if c >= 0x80 {
				return false
			}
		}
		if header && start && strings.TrimRight(string(line), "\r\n") == "" {
			return true
		}
		switch err {
		case nil:
			start = true
		case bufio.ErrBufferFull:
			start = false
		case io.EOF:
			return true
		default:
			return false
		}
	}
}
