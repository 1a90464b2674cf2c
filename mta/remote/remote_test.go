package remote_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const zone = `
one.example. 60 IN MX 10 mx.one.example.
mx.one.example. 60 IN A 192.0.2.1
two.example. 60 IN MX 10 a.two.example.
two.example. 60 IN MX 20 b.two.example.
a.two.example. 60 IN A 192.0.2.2
b.two.example. 60 IN A 192.0.2.3
both.example. 60 IN A 192.0.2.5
both.example. 60 IN AAAA 2001:db8::5
null.example. 60 IN MX 0 .
text.example. 60 IN TXT "no host"
ours.example. 60 IN MX 10 mx.example.org.
backup.example. 60 IN MX 5 mx.one.example.
backup.example. 60 IN MX 10 mx.example.org.
`

// script is what a host says: the greeting, then an answer to each line of the client, or to a message.
// An empty answer ends the connection.
type script []string

// world is a net of hosts that play scripts.
type world struct {
	t     *testing.T
	hosts map[string]script // by address
	tls   *tls.Config
	ports bool // hosts are by address and port

	mu    sync.Mutex
	heard []string
	tasks sync.WaitGroup
}

func (w *world) hear(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, fmt.Sprintf(format, args...))
}

func (w *world) dial(_ context.Context, _ remote.Source, a netip.AddrPort) (net.Conn, error) {
	name := a.Addr().String()
	if w.ports {
		name = a.String()
	}
	s, ok := w.hosts[name]
	if !ok {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	w.tasks.Go(func() { w.play(theirs, name, s) })
	return ours, nil
}

func (w *world) play(conn net.Conn, name string, s script) {
	defer conn.Close() // not that of TLS, which waits for the other side
	r := bufio.NewReader(conn)
	inData := false
	for i, answer := range s {
		if i > 0 {
			line, err := r.ReadString('\n')
			for inData && err == nil && line != ".\r\n" {
				w.hear("%s > %s", name, strings.TrimSuffix(line, "\r\n"))
				line, err = r.ReadString('\n')
			}
			if err != nil {
				return
			}
			w.hear("%s: %s", name, strings.TrimSuffix(line, "\r\n"))
		}
		switch answer {
		case "":
			return
		case "(silent)":
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		inData = strings.HasPrefix(answer, "354")
		if _, err := io.WriteString(conn, strings.ReplaceAll(answer, "\n", "\r\n")+"\r\n"); err != nil {
			return
		}
		if answer == "220 go" && i > 0 {
			conn = tls.Server(conn, w.tls)
			r = bufio.NewReader(conn)
		}
	}
	if line, err := r.ReadString('\n'); err == nil {
		w.hear("%s: %s", name, strings.TrimSuffix(line, "\r\n"))
	}
}

// client makes a client of the world.
func (w *world) client(change func(*remote.Config)) *remote.Client {
	z := new(dnstest.Zone)
	z.Add(zone)
	z.Fail("dead.example", errors.New("no answer"))
	c := remote.Config{
		Resolver: dns.New(dns.Config{Servers: []string{"test"}, Exchange: z.Exchange}), Hostname: "out.example.org", Dial: w.dial,
		Own:    func(host string) bool { return host == "mx.example.org" },
		Limits: remote.Limits{Connect: 20 * time.Second, Greeting: 20 * time.Second, Command: 20 * time.Second, Data: 20 * time.Second, Dot: 20 * time.Second, Idle: time.Hour},
	}
	if change != nil {
		change(&c)
	}
	client := remote.New(c)
	w.t.Cleanup(func() { client.Close(); w.tasks.Wait() })
	return client
}

func job(domain string, locals ...string) remote.Job {
	j := remote.Job{Destination: domain, Envelope: mta.Envelope{From: "ada@example.org", Size: 30}}
	for _, l := range locals {
		j.Recipients = append(j.Recipients, mta.Recipient{Address: l + "@" + domain})
	}
	j.Open = func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n")), nil
	}
	return j
}

func show(results []remote.Result) string {
	var out []string
	for _, r := range results {
		out = append(out, fmt.Sprintf("%s by %q: %s", map[remote.Kind]string{remote.Delivered: "delivered", remote.Temporary: "temporary", remote.Permanent: "permanent"}[r.Kind],
			r.Host, strings.TrimPrefix(r.Reply.Error(), "0 ")))
	}
	return strings.Join(out, "\n")
}

func (w *world) check(results []remote.Result, want string, heard ...string) {
	w.t.Helper()
	if got := show(results); got != want {
		w.t.Errorf("the results are\n%s\nand not\n%s", got, want)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.heard, "\n"); heard != nil && got != strings.Join(heard, "\n") {
		w.t.Errorf("the hosts heard\n%s\nand not\n%s", got, strings.Join(heard, "\n"))
	}
	w.heard = nil
}

const hello = "250-mx.one.example\n250-SIZE 1000\n250 PIPELINING"

func TestDelivered(t *testing.T) {
	w := &world{t: t, hosts: map[string]script{"192.0.2.1": {"220 hi", hello, "250 2.1.0 ok", "250 2.1.5 ok", "550 5.1.1 who?", "354 go", "250 2.0.0 got it as 7"}}}
	results := w.client(nil).Deliver(context.Background(), job("one.example", "bob", "joe"))
	w.check(results, `delivered by "mx.one.example": 250 2.0.0 got it as 7
permanent by "mx.one.example": 550 5.1.1 who?`,
		"192.0.2.1: EHLO out.example.org", "192.0.2.1: MAIL FROM:<ada@example.org> SIZE=30", "192.0.2.1: RCPT TO:<bob@one.example>",
		"192.0.2.1: RCPT TO:<joe@one.example>", "192.0.2.1: DATA",
		"192.0.2.1 > Subject: x", "192.0.2.1 > ", "192.0.2.1 > ..dot", "192.0.2.1 > ...", "192.0.2.1 > end", "192.0.2.1: .")
}

// TestDialogues: what hosts do, and what becomes of the recipients.
func TestDialogues(t *testing.T) {
	for name, c := range map[string]struct {
		domain string
		hosts  map[string]script
		want   string
	}{
		"no such domain":  {"nowhere.example", nil, `permanent by "": 5.1.2 The domain nowhere.example does not exist`},
		"null MX":         {"null.example", nil, `permanent by "": 5.1.10 The domain null.example takes no mail`},
		"no host":         {"text.example", nil, `permanent by "": 5.1.2 The domain text.example has no host for mail`},
		"comes back":      {"ours.example", nil, `permanent by "": 5.4.6 Mail for ours.example comes back to us: mx.example.org is one of our hosts`},
		"only the better": {"backup.example", nil, `temporary by "mx.one.example": 4.4.2 connect to mx.one.example: connection refused`},
		"DNS is dead": {"dead.example", nil,
			`temporary by "": 4.4.3 look up where mail for dead.example goes: DNS gives no answer for now: ask test: no answer`},
		"old host": {"one.example", map[string]script{"192.0.2.1": {"220 hi", "500 what?", "250 hi", "250 ok", "250 ok", "354 go", "250 ok"}},
			`delivered by "mx.one.example": 250 ok`},
		"second host":      {"two.example", map[string]script{"192.0.2.3": {"220 hi", hello, "250 ok", "250 ok", "354 go", "250 ok"}}, `delivered by "b.two.example": 250 ok`},
		"one kind is dead": {"both.example", map[string]script{"192.0.2.5": {"220 hi", hello, "250 ok", "250 ok", "354 go", "250 ok"}}, `delivered by "both.example": 250 ok`},
		"greeting 554 and another": {"two.example", map[string]script{"192.0.2.2": {"554 no SMTP here"}, "192.0.2.3": {"220 hi", hello, "250 ok", "250 ok", "354 go", "250 ok"}},
			`delivered by "b.two.example": 250 ok`},
		"421 in DATA and another": {"two.example", map[string]script{"192.0.2.2": {"220 hi", hello, "250 ok", "250 ok", "354 go", "421 4.3.2 down"}, "192.0.2.3": {"220 hi", hello, "250 ok", "250 ok", "354 go", "250 ok"}},
			`delivered by "b.two.example": 250 ok`},
		"greylisted": {"one.example", map[string]script{"192.0.2.1": {"220 hi", hello, "250 ok", "450 4.7.1 greylisted", "503 no", "250 reset"}}, `temporary by "mx.one.example": 450 4.7.1 greylisted`},
		"greylisted for good": {"one.example", map[string]script{"192.0.2.1": {"220 hi", hello, "250 ok", "550 Greylisted, come back", "503 no", "250 reset"}},
			`temporary by "mx.one.example": 550 Greylisted, come back`},
		"sender refused":       {"one.example", map[string]script{"192.0.2.1": {"220 hi", hello, "550 5.7.1 not you", "503 no", "503 no"}}, `permanent by "mx.one.example": 550 5.7.1 not you`},
		"nobody, and 354":      {"one.example", map[string]script{"192.0.2.1": {"220 hi", hello, "250 ok", "550 no", "354 go", "554 nobody"}}, `permanent by "mx.one.example": 550 no`},
		"closed after the dot": {"one.example", map[string]script{"192.0.2.1": {"220 hi", hello, "250 ok", "250 ok", "354 go", ""}}, `temporary by "mx.one.example": 4.4.2 EOF`},
		"552 for 452": {"one.example", map[string]script{"192.0.2.1": {"220 hi", hello, "250 ok", "552 too many recipients", "503 no", "250 ok"}},
			`temporary by "mx.one.example": 552 too many recipients`},
		"too big":         {"one.example", map[string]script{"192.0.2.1": {"220 hi", "250-hi\n250 SIZE 29"}}, `permanent by "mx.one.example": 552 5.3.4 The message has 30 octets, the host takes 29`},
		"several lines":   {"one.example", map[string]script{"192.0.2.1": {"220-hi\n220 hi", hello, "250 ok", "550-5.1.1 no\n550 5.1.1 such user", "503 no", "250 ok"}}, `permanent by "mx.one.example": 550 5.1.1 no such user`},
		"broken reply":    {"one.example", map[string]script{"192.0.2.1": {"hello there"}}, `temporary by "mx.one.example": 4.4.2 wait for the greeting of mx.one.example: the host's answer is no SMTP reply: "hello there"`},
		"two codes":       {"one.example", map[string]script{"192.0.2.1": {"220-hi\n250 hi"}}, `temporary by "mx.one.example": 4.4.2 wait for the greeting of mx.one.example: the host's answer is no SMTP reply: 220 and 250 in one`},
		"endless reply":   {"one.example", map[string]script{"192.0.2.1": {strings.Repeat("220-hi\n", 20000) + "220 hi"}}, `temporary by "mx.one.example": 4.4.2 wait for the greeting of mx.one.example: the host's answer is no SMTP reply: more than 65536 octets`},
		"endless line":    {"one.example", map[string]script{"192.0.2.1": {"220 " + strings.Repeat("x", 100000)}}, `temporary by "mx.one.example": 4.4.2 wait for the greeting of mx.one.example: the host's answer is no SMTP reply: more than 65536 octets`},
		"DATA is refused": {"one.example", map[string]script{"192.0.2.1": {"220 hi", hello, "250 ok", "250 ok", "451 4.3.0 later", "250 ok"}}, `temporary by "mx.one.example": 451 4.3.0 later`},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, hosts: c.hosts}
			w.check(w.client(nil).Deliver(context.Background(), job(c.domain, "bob")), c.want)
		})
	}
}

// TestReuse: the next message goes over the same connection; one that ended meanwhile costs nothing.
func TestReuse(t *testing.T) {
	w := &world{t: t, hosts: map[string]script{"192.0.2.1": {"220 hi", hello, "250 ok", "250 ok", "354 go", "250 first", "250 ok", "250 ok", "354 go", "250 second", ""}}}
	c := w.client(nil)
	for _, want := range []string{"first", "second", "first"} {
		results := c.Deliver(context.Background(), job("one.example", "bob"))
		w.check(results, `delivered by "mx.one.example": 250 `+want)
	}
}

// TestBrokenOff: the end of the context ends an attempt with a host that says nothing.
func TestBrokenOff(t *testing.T) {
	w := &world{t: t, hosts: map[string]script{"192.0.2.1": {"220 hi", "(silent)"}}}
	ctx, cancel := context.WithCancel(context.Background())
	c := w.client(func(c *remote.Config) {
		dial := c.Dial
		c.Dial = func(ctx context.Context, from remote.Source, a netip.AddrPort) (net.Conn, error) {
			conn, err := dial(ctx, from, a)
			time.AfterFunc(50*time.Millisecond, cancel)
			return conn, err
		}
	})
	if results := c.Deliver(ctx, job("one.example", "bob")); results[0].Kind != remote.Temporary || !strings.Contains(results[0].Reply.Text, "broken off") {
		t.Errorf("%+v", results)
	}
}

// TestEightBit: octets above 127 go only to a host that takes them.
func TestEightBit(t *testing.T) {
	plain, eight := hello, "250-hi\n250-8BITMIME\n250-SMTPUTF8\n250 DSN"
	for name, c := range map[string]struct {
		hello, body string
		utf8        bool
		want, mail  string
	}{
		"said, and not there": {plain, "Subject: x\r\n\r\nx\r\n", false, `delivered by "mx.one.example": 250 ok`, "MAIL FROM:<ada@example.org> SIZE=30"},
		"there":               {plain, "Subject: x\r\n\r\n\xc3\xa4\r\n", false, `permanent by "mx.one.example": 5.6.3 The message has octets above 127, and the host takes none`, ""},
		"taken":               {eight, "Subject: x\r\n\r\n\xc3\xa4\r\n", false, `delivered by "mx.one.example": 250 ok`, "MAIL FROM:<ada@example.org> BODY=8BITMIME RET=HDRS ENVID=e"},
		"UTF-8":               {eight, "Subject: \xc3\xa4\r\n\r\n\r\n", true, `delivered by "mx.one.example": 250 ok`, "MAIL FROM:<ada@example.org> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e"},
		"UTF-8 in the header, and not taken": {"250-hi\n250 8BITMIME", "Subject: \xc3\xa4\r\n\r\n\r\n", true,
			`permanent by "mx.one.example": 5.6.7 The message needs SMTPUTF8, and the host does not know it`, ""},
		"UTF-8 in the body alone": {"250-hi\n250 8BITMIME", "Subject: x\r\n\r\n\xc3\xa4\r\n", true, `delivered by "mx.one.example": 250 ok`, "MAIL FROM:<ada@example.org> BODY=8BITMIME"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, hosts: map[string]script{"192.0.2.1": {"220 hi", c.hello, "250 ok", "250 ok", "354 go", "250 ok"}}}
			j := job("one.example", "bob")
			j.Envelope.Body, j.Envelope.UTF8, j.Envelope.Return, j.Envelope.EnvID = mta.Body8Bit, c.utf8, mta.ReturnHeaders, "e"
			j.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(c.body)), nil }
			results := w.client(nil).Deliver(context.Background(), j)
			said := ""
			w.mu.Lock()
			for _, line := range w.heard {
				if _, mail, ok := strings.Cut(line, ": MAIL"); ok {
					said = "MAIL" + mail
				}
			}
			w.mu.Unlock()
			if said != c.mail {
				t.Errorf("the host heard %q, not %q", said, c.mail)
			}
			w.check(results, c.want)
		})
	}
}

// FuzzReplies: whatever a host says, there is a result for each recipient, and nothing hangs.
func FuzzReplies(f *testing.F) {
	f.Add("220 hi\r\n250-a\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n")
	f.Add("220-\r\n220 \r\n500 x\r\n250 x\r\n250\r\n421 x\r\n")
	f.Fuzz(func(t *testing.T, said string) {
		z := new(dnstest.Zone)
		z.Add(zone)
		var tasks sync.WaitGroup
		c := remote.New(remote.Config{
			Resolver: dns.New(dns.Config{Servers: []string{"test"}, Exchange: z.Exchange}), Hostname: "out.example.org",
			Dial: func(context.Context, remote.Source, netip.AddrPort) (net.Conn, error) {
				ours, theirs := net.Pipe()
				tasks.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
				tasks.Go(func() { _, _ = io.WriteString(theirs, said); _ = theirs.Close() })
				return ours, nil
			},
		})
		for _, r := range c.Deliver(context.Background(), job("one.example", "bob", "joe")) {
			if r.Kind == 0 {
				t.Errorf("no result: %+v", r)
			}
		}
		c.Close()
		tasks.Wait()
	})
}
