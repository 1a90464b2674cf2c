package remote_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/remote"
)

// scaled are limits of a host that a test can wait for.
func scaled(c *remote.Config) {
	const short = 50 * time.Millisecond
	c.Limits = remote.Limits{Connect: short, Greeting: short, Command: short, Data: short, Dot: short}
}

// TestSilence: a host that falls silent at any step is left, and the recipients stay open.
func TestSilence(t *testing.T) {
	dialogue := script{"220 hi", hello, "250 ok", "250 ok", "354 go", "250 ok"}
	plain := script{"220 hi", "250 hi", "250 ok", "250 ok", "354 go", "250 ok"}
	for _, whole := range []script{dialogue, plain} {
		for i := range whole {
			s := append(append(script{}, whole[:i]...), "(silent)")
			w := &world{t: t, hosts: map[string]script{"192.0.2.1": s}}
			results := w.client(scaled).Deliver(context.Background(), job("one.example", "bob"))
			if r := results[0]; r.Kind != remote.Temporary || r.Host != "mx.one.example" || !strings.Contains(r.Reply.Text, "timeout") {
				t.Errorf("silent after %q: %s", s[:i], show(results))
			}
		}
	}
}

// hosted is a client whose hosts are all played by f.
func hosted(t *testing.T, change func(*remote.Config), f func(net.Conn)) *remote.Client {
	w := &world{t: t}
	return w.client(func(c *remote.Config) {
		if change != nil {
			change(c)
		}
		c.Dial = func(context.Context, remote.Source, netip.AddrPort) (net.Conn, error) {
			ours, theirs := net.Pipe()
			w.tasks.Go(func() { defer theirs.Close(); f(theirs) })
			return ours, nil
		}
	})
}

// TestNotReading: a host that takes no more octets of a message is left.
func TestNotReading(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	c := hosted(t, scaled, func(conn net.Conn) {
		w := &world{t: t}
		w.play(keepOpen{conn}, "mx", script{"220 hi", "250 hi", "250 ok", "250 ok"}) // and it has read DATA
		_, _ = io.WriteString(conn, "354 go\r\n")
		<-done
	})
	j := job("one.example", "bob")
	j.Open = func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(strings.Repeat("line\r\n", 100_000))), nil
	}
	result := make(chan []remote.Result, 1)
	go func() { result <- c.Deliver(context.Background(), j) }()
	select {
	case results := <-result:
		if results[0].Kind != remote.Temporary || !strings.Contains(results[0].Reply.Text, "timeout") {
			t.Error(show(results))
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it hangs")
	}
}

// keepOpen is a connection whose Close waits for somebody else.
type keepOpen struct{ net.Conn }

func (keepOpen) Close() error { return nil }

// TestDripping: a reply that comes an octet at a time has no more time than one that comes at once.
func TestDripping(t *testing.T) {
	c := hosted(t, scaled, func(conn net.Conn) {
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(conn, "220-%d\r\n", i); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond) // the host's pace, not a wait of the test
		}
	})
	if results := c.Deliver(context.Background(), job("one.example", "bob")); results[0].Kind != remote.Temporary || !strings.Contains(results[0].Reply.Text, "timeout") {
		t.Error(show(results))
	}
}

// TestAmidData: a host that says 421 and closes amid a message, before its end, has not taken it; the next one gets
// it whole.
func TestAmidData(t *testing.T) {
	w := &world{t: t, hosts: map[string]script{"192.0.2.3": {"220 hi", hello, "250 ok", "250 ok", "354 go", "250 ok"}}}
	c := w.client(func(c *remote.Config) {
		dial := c.Dial
		c.Dial = func(ctx context.Context, from remote.Source, a netip.AddrPort) (net.Conn, error) {
			if a.Addr().String() != "192.0.2.2" {
				return dial(ctx, from, a)
			}
			ours, theirs := net.Pipe()
			w.tasks.Go(func() {
				defer theirs.Close()
				w.play(keepOpen{theirs}, "first", script{"220 hi", "250 hi", "250 ok", "250 ok"})
				_, _ = io.WriteString(theirs, "354 go\r\n")
				_, _ = io.ReadFull(theirs, make([]byte, 1000))
				_ = theirs.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // the client does not read while it writes
				_, _ = io.WriteString(theirs, "421 4.3.2 going down\r\n")
			})
			return ours, nil
		}
	})
	j := job("two.example", "bob")
	j.Open = func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(strings.Repeat("line\r\n", 20_000))), nil
	}
	results := c.Deliver(context.Background(), j)
	if r := results[0]; r.Kind != remote.Delivered || r.Host != "b.two.example" {
		t.Error(show(results))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := strings.Count(strings.Join(w.heard, "\n"), "192.0.2.3 > line"); n != 20_000 {
		t.Errorf("the second host got %d lines", n)
	}
}

// TestLateHandshake: a host that offers TLS and does not go on with it gets the mail without, as long as nothing asks
// for TLS.
func TestLateHandshake(t *testing.T) {
	w := &world{t: t}
	first := true
	c := w.client(func(c *remote.Config) {
		c.Limits.Connect = 50 * time.Millisecond // and for a handshake
		c.Dial = func(context.Context, remote.Source, netip.AddrPort) (net.Conn, error) {
			ours, theirs := net.Pipe()
			hangs := first
			first = false
			w.tasks.Go(func() {
				defer theirs.Close()
				if !hangs {
					w.play(theirs, "mx", script{"220 hi", "250-mx\n250 STARTTLS", "250 ok", "250 ok", "354 go", "250 ok"})
					return
				}
				w.play(keepOpen{theirs}, "mx", script{"220 hi", "250-mx\n250 STARTTLS"}) // and it has read STARTTLS
				_, _ = io.WriteString(theirs, "220 go\r\n")
				_, _ = io.Copy(io.Discard, theirs)
			})
			return ours, nil
		}
	})
	results := c.Deliver(context.Background(), job("one.example", "bob"))
	if r := results[0]; r.Kind != remote.Delivered || r.TLS != "" {
		t.Error(show(results))
	}
}

// TestLost: a message whose octets cannot be read to their end is not ended: the host does not take half of it.
func TestLost(t *testing.T) {
	w := &world{t: t, hosts: map[string]script{"192.0.2.1": {"220 hi", hello, "250 ok", "250 ok", "354 go", "250 ok"}}}
	j := job("one.example", "bob")
	j.Open = func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("Subject: x\r\n\r\nhalf\r\n"), brokenReader{})), nil
	}
	results := w.client(nil).Deliver(context.Background(), j)
	if results[0].Kind != remote.Temporary {
		t.Error(show(results))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if all := strings.Join(w.heard, "\n"); strings.Contains(all, ": .") {
		t.Errorf("the host heard the end of it:\n%s", all)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
