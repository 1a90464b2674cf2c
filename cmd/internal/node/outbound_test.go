package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"strings"
	"sync"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
)

// sink is a foreign host that takes mail, but for nobody, and not from strangers at first.
type sink struct {
	mu     sync.Mutex
	known  map[string]bool // recipients that have been put off
	octets []string
	peers  []string // who came: address and name
	from   []string // the envelope senders of octets
}

func (s *sink) NewSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	host, _, err := net.SplitHostPort(c.Conn().RemoteAddr().String())
	s.peers = append(s.peers, host+" "+c.Hostname())
	return &sinkSession{sink: s}, err
}

type sinkSession struct {
	*sink
	from string
	to   []string
}

func (s *sinkSession) Reset()        { s.to = nil }
func (s *sinkSession) Logout() error { return nil }

func (s *sinkSession) Mail(from string, _ *gosmtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *sinkSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "Nobody is here"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *sinkSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink.from = append(s.sink.from, s.from)
	s.octets = append(s.octets, strings.Join(s.to, " ")+"\n"+string(text))
	return err
}

func (s *sink) serve(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := gosmtp.NewServer(s)
	server.Domain = "sink.test"
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; err != nil && !errors.Is(err, gosmtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// submit sends a message as ada, and returns what was refused.
func (s *site) submit(i int, text string, to ...string) error {
	s.t.Helper()
	c, err := smtp.Dial(s.config(i).SMTP.Submission[0])
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true, ServerName: "n1.example.org"}); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(s.config(i).SMTP.Submission[0])
	if err := c.Auth(smtp.PlainAuth("", "ada@example.org", "secret", host)); err != nil {
		return err
	}
	if err := c.Mail("ada@example.org"); err != nil {
		return err
	}
	for _, r := range to {
		if err := c.Rcpt(r); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return errors.Join(w.Close(), c.Quit())
}

// TestOutbound: a user's mail reaches another host, in a copy here too, and who is refused there is reported.
func TestOutbound(t *testing.T) {
	t.Parallel()
	sink := new(sink)
	s := newSite(t, 61)
	s.more = fmt.Sprintf("[outbound]\nenabled = true\nrelay = %q\nresolvers = [\"127.0.0.1\"]\n", sink.serve(t))
	s.start(1)
	const text = "From: ada@example.org\r\nSubject: the plan\r\nMessage-ID: <out@example.org>\r\nDate: today\r\n\r\n.hello\r\n"
	s.eventually("a message is queued", func() error { // not before the level is raised
		return s.submit(1, text, "bob@sink.test", "nobody@sink.test", "ada@example.org")
	})
	s.eventually("it arrives", func() error {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		if len(sink.octets) != 1 || !strings.HasPrefix(sink.octets[0], "bob@sink.test\nReceived: by n1.example.org") ||
			!strings.HasSuffix(sink.octets[0], "\r\nFrom: ada@example.org\r\nSubject: the plan\r\nMessage-ID: <out@example.org>\r\nDate: today\r\n\r\n.hello\r\n") {
			return fmt.Errorf("the sink has %q", sink.octets)
		}
		return nil
	})
	k := s.talk(1)
	s.eventually("the refusal is reported", func() error {
		lines := strings.Join(k.ok("STATUS INBOX (MESSAGES)"), " ")
		if !strings.Contains(lines, "MESSAGES 2") {
			return errors.New(lines)
		}
		return nil
	})
	k.ok("SELECT INBOX")
	all := strings.Join(k.ok("FETCH 1:2 (BODY.PEEK[])"), "\n")
	for _, want := range []string{"Subject: Your message was not delivered", "Final-Recipient: rfc822; nobody@sink.test", "Diagnostic-Code: smtp; 550 5.1.1 Nobody is here"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	k.ok("LOGOUT")
	if err := send(s.config(1).SMTP.MX[0], "bob@sink.test", text); err == nil || !strings.Contains(err.Error(), "Relaying denied") {
		t.Errorf("a stranger's mail to elsewhere: %v", err)
	}
}
