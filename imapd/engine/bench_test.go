package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

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

// BenchmarkSearchLetters searches 5,000 letters of 4 KiB, of which one has the word.
func BenchmarkSearchLetters(b *testing.B) {
	st := newStage(b)
	for i := range 5000 {
		st.deliverText(2, "INBOX", []byte(letter(i)))
	}
	for _, line := range []string{"SEARCH BODY xylophone4711", "SEARCH TEXT xylophone4711", "SEARCH HEADER X-None zebra", "SEARCH SUBJECT 4711", "SEARCH FROM nobody"} {
		b.Run(strings.ReplaceAll(line, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			start := cpuTime(b)
			converse(b, st, line, b.N)
			b.ReportMetric(float64(cpuTime(b)-start)/1e6/float64(b.N), "cpu-ms/op")
		})
	}
}

// cpuTime is the CPU time this process has used: on a shared machine the wall says little.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// letter is a message of about 4 KiB of text; of 5,000 only the one of its own number holds "xylophone" with it.
func letter(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Received: from mx.example.org (mx.example.org [192.0.2.1])\n\tby mail.example.com with ESMTPS id %d;\n\tSat, 21 Nov 2026 10:00:00 +0000\n"+
		"Message-ID: <%d@example.org>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nFrom: Ann Example <ann@example.org>\n"+
		"To: Bob <bob@example.com>, Carl <carl@example.com>\nSubject: the minutes of meeting %d\nMIME-Version: 1.0\n"+
		"Content-Type: text/plain; charset=utf-8\n\nThe xylophone%d is here.\n", n, n, n, n)
	for i := 0; b.Len() < 4096; i++ {
		fmt.Fprintf(&b, "Line %d of letter %d, with some words %x that differ.\n", i, n, uint64(i*n+1)*0x9e3779b97f4a7c15)
	}
	return b.String()
}

func BenchmarkSelect(b *testing.B) {
	for _, n := range []int{1000, 50000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmark(b, n, "SELECT INBOX") })
	}
}

func BenchmarkNoop(b *testing.B) { benchmark(b, 1, "NOOP") }
