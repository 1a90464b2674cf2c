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

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSite is an SMTP and IMAP server that counts. lose makes it forget every so many messages.
type fakeSite struct {
	smtp, imap net.Listener
	lose       int
	wg         sync.WaitGroup
	mu         sync.Mutex
	taken      int      // guarded by mu
	ids        []string // Message-IDs that can be read; guarded by mu
}

func startFakeSite(t *testing.T, lose int) *fakeSite {
	t.Helper()
	f := &fakeSite{lose: lose}
	f.smtp, f.imap = f.listen(t, f.serveSMTP), f.listen(t, f.serveIMAP)
	t.Cleanup(func() {
		_ = f.smtp.Close()
		_ = f.imap.Close()
		f.wg.Wait()
	})
	return f
}

func (f *fakeSite) listen(t *testing.T, serve func(*bufio.Scanner, net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() {
				defer c.Close()
				serve(bufio.NewScanner(c), c)
			})
		}
	})
	return l
}

func (f *fakeSite) serveSMTP(in *bufio.Scanner, c net.Conn) {
	fmt.Fprint(c, "220 fake\r\n")
	data, id := false, ""
	for in.Scan() {
		line := in.Text()
		switch {
		case data && line == ".":
			data = false
			f.take(id)
			fmt.Fprint(c, "250 kept\r\n")
		case data:
			if rest, ok := strings.CutPrefix(line, "Message-ID: "); ok {
				id = rest
			}
		case line == "DATA":
			data = true
			fmt.Fprint(c, "354 go on\r\n")
		case line == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 yes\r\n")
		}
	}
}

func (f *fakeSite) take(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken++
	if f.lose == 0 || f.taken%f.lose != 0 {
		f.ids = append(f.ids, id)
	}
}

func (f *fakeSite) serveIMAP(in *bufio.Scanner, c net.Conn) {
	fmt.Fprint(c, "* OK fake\r\n")
	for in.Scan() {
		tag, command, _ := strings.Cut(in.Text(), " ")
		f.mu.Lock()
		switch {
		case strings.HasPrefix(command, "STATUS"):
			fmt.Fprintf(c, "* STATUS INBOX (MESSAGES %d)\r\n", len(f.ids))
		case strings.HasPrefix(command, "FETCH"):
			for i, id := range f.ids {
				field := "Message-ID: " + id + "\r\n\r\n"
				fmt.Fprintf(c, "* %d FETCH (BODY[] {%d}\r\n%s)\r\n", i+1, len(field), field)
			}
		}
		f.mu.Unlock()
		fmt.Fprint(c, tag+" OK done\r\n")
	}
}

func (f *fakeSite) Name() string                              { return "fake" }
func (f *fakeSite) MX() []load.Door                           { return []load.Door{{Address: f.smtp.Addr().String()}} }
func (f *fakeSite) Submission() []load.Door                   { return nil }
func (f *fakeSite) IMAP() []load.Door                         { return []load.Door{{Address: f.imap.Addr().String()}} }
func (f *fakeSite) Close() error                              { return nil }
func (f *fakeSite) Usage(context.Context) (site.Usage, error) { return site.Usage{}, nil }
func (f *fakeSite) Accounts(_ context.Context, n int) ([]load.Login, error) {
	return []load.Login{{Address: "one@bench.test", Password: "x"}}[:min(n, 1)], nil
}

func options() Options {
	return Options{Messages: 50, Connections: 4, Run: "t", Progress: func(string, ...any) {}}
}

func TestDeliverTellsFigures(t *testing.T) {
	s, err := Find("deliver-4k")
	if err != nil {
		t.Fatal(err)
	}
	f := startFakeSite(t, 0)
	r, err := s.Run(t.Context(), f, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{"msg/s", "visible-msg/s", "p50-ms", "p99-ms"} {
		if v, ok := r.Get(unit); !ok || v <= 0 {
			t.Errorf("%s is %v", unit, v)
		}
	}
	if _, ok := r.Get("cpu-s/kmsg"); ok {
		t.Error("CPU of processes that cannot be read")
	}
	if f.taken != 70 { // 20 to warm up
		t.Errorf("the server took %d messages", f.taken)
	}
}

// TestPairDeliversTheSameToBoth: each site gets the whole load, in turns.
func TestPairDeliversTheSameToBoth(t *testing.T) {
	s, err := Find("deliver-4k")
	if err != nil {
		t.Fatal(err)
	}
	a, b := startFakeSite(t, 0), startFakeSite(t, 0)
	both, err := s.Pair(t.Context(), [2]site.Site{a, b}, 1, options())
	if err != nil {
		t.Fatal(err)
	}
	if a.taken != 70 || b.taken != 70 { // 20 to warm up
		t.Errorf("the servers took %d and %d messages", a.taken, b.taken)
	}
	for i, r := range both {
		if v, ok := r.Get("msg/s"); !ok || v <= 0 {
			t.Errorf("site %d: %v msg/s", i, v)
		}
	}
}

func TestLedgerFindsLostAndDoubled(t *testing.T) {
	f := startFakeSite(t, 10)
	book := ledger{accepted: map[string]bool{}}
	for i := range 30 {
		id := fmt.Sprintf("<%d@x>", i)
		book.accepted[id] = true
		f.take(id)
	}
	f.take("<5@x>")
	accounts, err := f.Accounts(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := book.verify(t.Context(), f, accounts, &r); err != nil {
		t.Fatal(err)
	}
	lost, _ := r.Get("lost")
	doubled, _ := r.Get("doubled")
	if lost != 3 || doubled != 1 || len(r.Broken) != 2 {
		t.Errorf("lost %v, doubled %v, broken %q", lost, doubled, r.Broken)
	}
}

func TestNoForeignServer(t *testing.T) {
	f := startFakeSite(t, 0)
	s, err := Find("outbound")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), f, options()); !errors.Is(err, site.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

func TestGap(t *testing.T) {
	start := time.Unix(1000, 0)
	p := &probes{times: [][]time.Time{{start, start.Add(time.Second), start.Add(4 * time.Second), start.Add(5 * time.Second)}}}
	if g := p.gap(0, start.Add(2*time.Second), start.Add(10*time.Second)); g != 3*time.Second {
		t.Errorf("gap %v", g)
	}
	if g := p.gap(0, start.Add(4500*time.Millisecond), start.Add(10*time.Second)); g != time.Second {
		t.Errorf("gap after the outage %v", g)
	}
}

func TestDayPlanIsTheSame(t *testing.T) {
	d := &day{site: startFakeSite(t, 0), accounts: make([]load.Login, 3)}
	a, b := d.plan(), d.plan()
	if len(a) != 3*(dayReceived+daySubmitted+daySessions) || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("%d jobs, and two plans are equal: %v", len(a), fmt.Sprint(a) == fmt.Sprint(b))
	}
	for _, j := range a {
		if j.kind == submit {
			t.Fatal("a submission to a site that takes none")
		}
	}
}
