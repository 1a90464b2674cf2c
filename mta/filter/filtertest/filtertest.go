// Package filtertest has what tests of filters share: programs that answer in every wrong way, and a suite that each client of a filter
// passes.
package filtertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/filter"
)

// Checker is a client of a filter.
type Checker interface {
	Check(ctx context.Context, m *filter.Message) (filter.Report, error)
}

// Serve answers each connection with talk, until the test ends, and gives the address to put into a setting.
func Serve(t testing.TB, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			all.Go(func() {
				talk(c)
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// Message is one from ada@example.org to bob@example.net and cid@example.net.
func Message(text string) *filter.Message {
	text = strings.ReplaceAll(text, "\n", "\r\n")
	header := int64(len(text))
	if head, _, ok := strings.Cut(text, "\r\n\r\n"); ok {
		header = int64(len(head)) + 4
	}
	return &filter.Message{
		ID: "M1", Server: "mx.example.net",
		Client: filter.Client{Remote: netip.MustParseAddrPort("192.0.2.7:4321"), Local: netip.MustParseAddrPort("192.0.2.1:25"), Name: "out.example.org", Hello: "out.example.org",
			TLS: &filter.TLS{Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", Bits: 128}},
		Envelope:   mta.Envelope{From: "ada@example.org", To: []string{"bob@example.net", "cid@example.net"}, Size: int64(len(text)), Body: mta.Body8Bit},
		Recipients: []string{"bob@example.net", "cid@example.net"},
		Text:       bytes.NewReader([]byte(text)), Size: int64(len(text)), HeaderSize: header,
	}
}

// Letter is a plain message.
const Letter = "From: Ada <ada@example.org>\nTo: bob@example.net\nSubject: Tea\n\nAt four?\n"

// Setting is a good one for a filter at an address.
func Setting(t testing.TB, kind filter.Kind, addr string) filter.Setting {
	t.Helper()
	s := filter.Setting{Name: "test", Kind: kind, Address: addr}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return s
}

// Trouble is the suite: whatever a program answers that is none, the client gives an error within its time, and is not led to keep all
// that the program says. greeting is what the program says before it goes wrong in the middle of a talk, at its first chance to speak.
func Trouble(t *testing.T, kind filter.Kind, open func(filter.Setting) Checker, greeting []byte) {
	long := strings.Repeat("x", 1<<16)
	for name, talk := range map[string]func(net.Conn){
		"hangs up":          func(c net.Conn) {},
		"says garbage":      func(c net.Conn) { _, _ = io.WriteString(c, "\x00\x00\x00\x05hello, I am no filter\r\n\r\n\x00") },
		"ends halfway":      func(c net.Conn) { _, _ = c.Write(greeting) },
		"stops mid-word":    func(c net.Conn) { _, _ = c.Write(greeting[:len(greeting)/2]) },
		"says too much":     flood([]byte(long)),
		"says nul for ever": flood(make([]byte, 1<<16)),
		"goes on for ever": func(c net.Conn) {
			_, _ = c.Write(greeting)
			flood([]byte(long))(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r, err := open(Setting(t, kind, Serve(t, talk))).Check(ctx, Message(Letter))
			if err == nil || ctx.Err() != nil {
				t.Errorf("got %+v and %v", r, err)
			}
		})
	}
	t.Run("says nothing", func(t *testing.T) {
		heard := make(chan struct{})
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		addr := Serve(t, func(c net.Conn) {
			close(heard)
			_, _ = io.Copy(io.Discard, c)
		})
		go func() {
			<-heard
			cancel(errors.New("its time is over"))
		}()
		if r, err := open(Setting(t, kind, addr)).Check(ctx, Message(Letter)); err == nil {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("listens to nothing", func(t *testing.T) {
		heard := make(chan struct{})
		addr := Serve(t, func(c net.Conn) {
			<-heard
		})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		r, err := open(Setting(t, kind, addr)).Check(ctx, Message(Letter+strings.Repeat(long+"\n", 150)))
		if err == nil {
			t.Errorf("got %+v", r)
		}
		close(heard)
	})
	t.Run("is not there", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if r, err := open(Setting(t, kind, l.Addr().String())).Check(t.Context(), Message(Letter)); err == nil {
			t.Errorf("got %+v", r)
		}
	})
}

// flood says a text until nobody listens, and hears what it is told meanwhile.
func flood(text []byte) func(net.Conn) {
	return func(c net.Conn) {
		var heard sync.WaitGroup
		heard.Go(func() { _, _ = io.Copy(io.Discard, c) })
		for {
			if _, err := c.Write(text); err != nil {
				break
			}
		}
		c.Close()
		heard.Wait()
	}
}
