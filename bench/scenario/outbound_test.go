package scenario

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
)

// fakeRelay takes mail of users and sends it on at once, again and again until it is taken; what is refused for ever
// comes back to the INBOX. With repeat it sends everything twice.
type fakeRelay struct {
	*fakeSite
	door    net.Listener
	foreign string
	repeat  bool
	work    sync.WaitGroup
}

func startFakeRelay(t *testing.T, repeat bool) *fakeRelay {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &fakeRelay{fakeSite: startFakeSite(t, 0), foreign: free.Addr().String(), repeat: repeat}
	_ = free.Close()
	r.door = r.listen(t, func(in *bufio.Scanner, c net.Conn) { r.serve(t.Context(), in, c) })
	t.Cleanup(func() {
		_ = r.door.Close()
		r.work.Wait()
	})
	return r
}

func (r *fakeRelay) Foreign() string         { return r.foreign }
func (r *fakeRelay) Submission() []load.Door { return []load.Door{{Address: r.door.Addr().String()}} }

func (r *fakeRelay) serve(ctx context.Context, in *bufio.Scanner, c net.Conn) {
	fmt.Fprint(c, "220 fake\r\n")
	var to string
	for in.Scan() {
		line := in.Text()
		switch {
		case strings.HasPrefix(line, "AUTH"):
			fmt.Fprint(c, "235 welcome\r\n")
		case strings.HasPrefix(line, "RCPT"):
			to = strings.Trim(strings.TrimPrefix(line, "RCPT TO:"), "<>")
			fmt.Fprint(c, "250 yes\r\n")
		case line == "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			for in.Scan() && in.Text() != "." {
			}
			recipient := to
			r.work.Go(func() { r.relay(ctx, recipient) })
			fmt.Fprint(c, "250 queued\r\n")
		case line == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 yes\r\n")
		}
	}
}

func (r *fakeRelay) relay(ctx context.Context, to string) {
	for sent := 0; ctx.Err() == nil; {
		c, err := load.DialSMTP(ctx, load.Door{Address: r.foreign}, nil)
		if err != nil {
			return
		}
		_, err = c.Send("one@bench.test", []string{to}, []byte("\r\n"))
		c.Close()
		var refusal *load.Refusal
		if errors.As(err, &refusal) && !refusal.Temporary() {
			r.take("<refused-" + to + ">")
			return
		}
		if err != nil {
			continue
		}
		if sent++; sent == 2 || !r.repeat {
			return
		}
	}
}

func TestOutboundFollowsEachMessage(t *testing.T) {
	s, err := Find("outbound")
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Messages = 100
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := s.Run(ctx, startFakeRelay(t, false), o)
	if err != nil {
		t.Fatal(err)
	}
	lost, _ := r.Get("lost")
	attempts, _ := r.Get("attempts/msg")
	rate, _ := r.Get("out-msg/s")
	if lost != 0 || attempts != 1.07 || rate <= 0 || len(r.Broken) != 0 {
		t.Errorf("lost %v, attempts %v, rate %v, broken %q", lost, attempts, rate, r.Broken)
	}
}

func TestOutboundTellsWhatCameTwice(t *testing.T) {
	o := options()
	o.Messages = 100
	r, err := runOutbound(t.Context(), startFakeRelay(t, true), o)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := r.Get("doubled"); n < 1 || len(r.Broken) == 0 {
		t.Errorf("doubled %v, broken %q", n, r.Broken)
	}
}
