package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/imapd/engine"
)

// sink is a client that selects INBOX, says one line again and again, and hears nothing.
type sink struct {
	tape
	line []byte
	say  []byte // still to be said
	left int
}

func (c *sink) Read(p []byte) (int, error) {
	if len(c.say) == 0 {
		if c.left == 0 {
			return 0, io.EOF
		}
		c.left--
		c.say = c.line
	}
	n := copy(p, c.say)
	c.say = c.say[n:]
	return n, nil
}

func (c *sink) Write(p []byte) (int, error) { return len(p), nil }

// converse runs a session of account 2 that says line n times.
func converse(b *testing.B, st *stage, line string, n int) {
	mail := imapd.Mailstore(st.store)
	c := &sink{say: []byte("s SELECT INBOX\r\n"), line: []byte("x " + line + "\r\n"), left: n}
	session := st.engine.NewSession(engine.Peer{Conn: c, Login: &actor{}, Authenticated: &engine.Identity{Account: 2},
		Open: func(_ context.Context, who engine.Identity) (engine.Account, error) { return mail(who.Account), nil }})
	if err := session.Run(b.Context()); !errors.Is(err, io.EOF) {
		b.Fatal(err)
	}
}

func benchmark(b *testing.B, messages int, line string) {
	st := newStage(b)
	for range messages {
		st.deliver(2, "INBOX", "plain")
	}
	b.ReportAllocs()
	b.ResetTimer()
	converse(b, st, line, b.N)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*messages), "ns/message")
}

func BenchmarkFetchFlags(b *testing.B) { benchmark(b, 2000, "FETCH 1:* (UID FLAGS)") }
func BenchmarkFetchEnvelope(b *testing.B) {
	benchmark(b, 2000, "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
}
func BenchmarkFetchHeaderFields(b *testing.B) {
	benchmark(b, 2000, "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (DATE FROM)])")
}
func BenchmarkFetchBody(b *testing.B)   { benchmark(b, 2000, "FETCH 1:* BODY.PEEK[]") }
func BenchmarkSearchFlags(b *testing.B) { benchmark(b, 2000, "SEARCH UNSEEN") }
func BenchmarkSearchText(b *testing.B)  { benchmark(b, 2000, "SEARCH TEXT zebra") }

func BenchmarkSelect(b *testing.B) {
	for _, n := range []int{1000, 50000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmark(b, n, "SELECT INBOX") })
	}
}

func BenchmarkNoop(b *testing.B) { benchmark(b, 1, "NOOP") }
