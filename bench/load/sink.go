package load

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// SinkDomain is the foreign domain whose mail a Sink takes, and that of sinkDomains domains below it.
const (
	SinkDomain  = "sink.test"
	sinkDomains = 50
)

// Mix is which part of its recipients a Sink treats badly, in percent; the rest is taken at once.
type Mix struct {
	Never int // 550 to RCPT, for ever
	Later int // 451 to the first RCPT, as greylisting does
	Cut   int // the first time, the connection ends after the final dot, without a reply and without the message
}

// bad is the part that is not taken at once.
func (m Mix) bad() int { return m.Never + m.Later + m.Cut }

// SinkRecipient is the address of recipient n, in one of many domains; how it is treated depends on n alone.
func SinkRecipient(n int) string { return fmt.Sprintf("r%d@d%d.%s", n, n%sinkDomains, SinkDomain) }

// treatment is how a recipient fares.
type treatment int

const (
	taken treatment = iota
	never
	later
	cut
)

// Sink is a mail server that keeps nothing but count. It counts messages by recipient, so that what was lost or came
// twice can be told.
type Sink struct {
	mix     Mix
	address string
	server  *smtp.Server
	wg      sync.WaitGroup

	mu   sync.Mutex
	seen map[int]*arrivals // by number of the recipient; guarded by mu
	last time.Time         // of the last message taken; guarded by mu
}

// arrivals are what happened to one recipient.
type arrivals struct{ attempts, taken int }

// StartSink listens on a TCP address.
func StartSink(address string, mix Mix) (*Sink, error) {
	if mix.bad() > 100 || min(mix.Never, mix.Later, mix.Cut) < 0 {
		return nil, fmt.Errorf("a mix of %d, %d and %d percent: the parts are percentages of one whole", mix.Never, mix.Later, mix.Cut)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen as a sink: %w", err)
	}
	s := &Sink{mix: mix, address: l.Addr().String(), seen: map[int]*arrivals{}}
	s.server = smtp.NewServer(s)
	s.server.Domain, s.server.MaxMessageBytes = SinkDomain, 64<<20
	s.server.ReadTimeout, s.server.WriteTimeout = replyTimeout, replyTimeout
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	s.wg.Go(func() { _ = s.server.Serve(l) }) // ends with Close
	return s, nil
}

// Address is where it listens.
func (s *Sink) Address() string { return s.address }

// Close ends all connections and waits for the listener.
func (s *Sink) Close() {
	_ = s.server.Close() // there is nothing to save
	s.wg.Wait()
}

// Tally is what a Sink has seen of the recipients 0 to n-1.
type Tally struct {
	Taken    int       // recipients whose message came
	Doubled  int       // messages that came again
	Attempts int       // RCPT commands
	Last     time.Time // when the last message came
}

// Tally counts.
func (s *Sink) Tally(n int) Tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Tally{Last: s.last}
	for i, a := range s.seen {
		if i >= n {
			continue
		}
		t.Attempts += a.attempts
		if a.taken > 0 {
			t.Taken++
			t.Doubled += a.taken - 1
		}
	}
	return t
}

// Expect is how many of the recipients 0 to n-1 a Sink takes in the end, and how many of them at once.
func (m Mix) Expect(n int) (all, atOnce int) {
	for i := range n {
		switch m.treat(i) {
		case never:
		case taken:
			all, atOnce = all+1, atOnce+1
		default:
			all++
		}
	}
	return all, atOnce
}

// treat spreads the bad parts evenly: 37 has no common divisor with 100.
func (m Mix) treat(n int) treatment {
	at := n * 37 % 100
	switch {
	case at < m.Never:
		return never
	case at < m.Never+m.Later:
		return later
	case at < m.bad():
		return cut
	}
	return taken
}

// NewSession is called by the server for each connection.
func (s *Sink) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &sinkSession{sink: s, conn: c}, nil
}

// sinkSession is one connection.
type sinkSession struct {
	sink       *Sink
	conn       *smtp.Conn
	recipients []int
}

func (s *sinkSession) Reset()        { s.recipients = s.recipients[:0] }
func (s *sinkSession) Logout() error { return nil }

func (s *sinkSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	local, domain, _ := strings.Cut(to, "@")
	n, err := strconv.Atoi(strings.TrimPrefix(local, "r"))
	if err != nil || n < 0 || !strings.HasSuffix(strings.ToLower("."+domain), "."+SinkDomain) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such recipient"}
	}
	first := s.sink.attempt(n)
	switch t := s.sink.mix.treat(n); {
	case t == never:
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such recipient"}
	case t == later && first:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, try again later"}
	}
	s.recipients = append(s.recipients, n)
	return nil
}

func (s *sinkSession) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("read a message: %w", err)
	}
	if !s.sink.take(s.recipients) {
		_ = s.conn.Conn().Close() // the sender shall not learn more
		return errors.New("cut")
	}
	return nil
}

// attempt counts a RCPT and tells whether it is the recipient's first.
func (s *Sink) attempt(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.seen[n]
	if a == nil {
		a = new(arrivals)
		s.seen[n] = a
	}
	a.attempts++
	return a.attempts == 1
}

// take counts a message for its recipients, unless one of them has the connection cut this time.
func (s *Sink) take(recipients []int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range recipients {
		if s.mix.treat(n) == cut && s.seen[n].attempts == 1 {
			return false
		}
	}
	for _, n := range recipients {
		s.seen[n].taken++
	}
	s.last = time.Now()
	return true
}
