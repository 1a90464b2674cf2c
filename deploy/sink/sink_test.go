package sink_test

import (
	"crypto/tls"
	"io"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/deploy/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// book notes what a sink took.
type book struct {
	mu   sync.Mutex
	list []sink.Delivery
}

func (b *book) take(d sink.Delivery) { b.mu.Lock(); defer b.mu.Unlock(); b.list = append(b.list, d) }

func start(t *testing.T, b *book, answer func(sink.Step) sink.Answer) *sink.Sink {
	t.Helper()
	s, err := sink.Listen("127.0.0.1:0", sink.Config{Answer: answer, Taken: b.take})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestTaken(t *testing.T) {
	b := new(book)
	s := start(t, b, nil)
	if err := smtp.SendMail(s.Address(), nil, "ada@example.org", []string{"bob@example.com", "joe@example.com"}, []byte("Subject: x\r\n\r\n.dot\r\n")); err != nil {
		t.Fatal(err)
	}
	if len(b.list) != 1 {
		t.Fatalf("%d were taken", len(b.list))
	}
	d := b.list[0]
	if string(d.Octets) != "Subject: x\r\n\r\n.dot\r\n" || strings.Join(d.To, " ") != "bob@example.com joe@example.com" || d.TLS || d.Hello != "localhost" ||
		!strings.HasPrefix(d.From, "FROM:<ada@example.org>") || d.Ended.Before(d.Began) {
		t.Errorf("%+v", d)
	}
	if open := s.Open(); len(open) != 0 {
		t.Errorf("open: %+v", open)
	}
}

// TestAnswers: at each step the sink does as it is told.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		verb   string
		answer sink.Answer
		want   string // in the error; "any" is whatever a connection that ended gives
		taken  int
	}{
		"the usual":          {"", sink.Answer{}, "", 1},
		"greeting":           {sink.Connect, sink.Answer{Reply: "554 no"}, "no", 0},
		"closed at once":     {sink.Connect, sink.Answer{Close: true}, "any", 0},
		"sender":             {"MAIL", sink.Answer{Reply: "451 4.3.0 later"}, "later", 0},
		"recipient":          {"RCPT", sink.Answer{Reply: "550-5.1.1 no\r\n550 5.1.1 such user"}, "such user", 0},
		"amid the octets":    {sink.Octets, sink.Answer{Reply: "421 4.3.2 down", Close: true}, "any", 0},
		"the dot":            {sink.Dot, sink.Answer{Reply: "452 4.3.1 full"}, "full", 0},
		"closed at the dot":  {sink.Dot, sink.Answer{Close: true}, "any", 1},
		"taken, then closed": {sink.Dot, sink.Answer{Reply: "250 ok", Close: true, Wait: 10 * time.Millisecond}, "any", 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := new(book)
			s := start(t, b, func(st sink.Step) sink.Answer {
				if st.Verb == c.verb {
					return c.answer
				}
				return sink.Answer{}
			})
			err := smtp.SendMail(s.Address(), nil, "ada@example.org", []string{"bob@example.com"}, []byte("Subject: x\r\n\r\n"+strings.Repeat("line\r\n", 200)))
			s.Close()
			if (err == nil) != (c.want == "") || err != nil && c.want != "any" && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if len(b.list) != c.taken {
				t.Errorf("%d were taken, not %d", len(b.list), c.taken)
			}
		})
	}
}

// TestOpen: what is on its way can be seen, and Close ends it, even a sink that waits.
func TestOpen(t *testing.T) {
	waits := make(chan struct{}, 1)
	s := start(t, new(book), func(st sink.Step) sink.Answer {
		if st.Verb == "RCPT" {
			waits <- struct{}{}
			return sink.Answer{Wait: time.Hour}
		}
		return sink.Answer{}
	})
	conn, err := textproto.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, line := range []string{"EHLO me", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"} {
		if err := conn.PrintfLine("%s", line); err != nil {
			t.Fatal(err)
		}
	}
	<-waits
	if open := s.Open(); len(open) != 1 || open[0].Hello != "me" || open[0].From != "FROM:<a@b.example>" {
		t.Errorf("open: %+v", open)
	}
	s.Close()
	if _, err := io.Copy(io.Discard, conn.R); err != nil {
		t.Log(err) // it ends, one way or the other
	}
}

// TestNoTLS: STARTTLS is not offered without a certificate.
func TestNoTLS(t *testing.T) {
	s := start(t, new(book), nil)
	c, err := smtp.Dial(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("TLS without a certificate")
	}
}
