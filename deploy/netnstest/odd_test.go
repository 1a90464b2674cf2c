//go:build linux

package netnstest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
	"github.com/rookery-mail/rookery/deploy/sink"
)

// shore is what sinks took.
type shore struct {
	mu    sync.Mutex // guards taken
	taken []sink.Delivery
}

func (s *shore) take(d sink.Delivery) { s.mu.Lock(); defer s.mu.Unlock(); s.taken = append(s.taken, d) }

// of are the copies of a message that came.
func (s *shore) of(m harness.Message) (list []sink.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.taken {
		if id, _ := harness.ReadDigest(d.Octets); id == m.ID {
			list = append(list, d)
		}
	}
	return list
}

// sinkAt starts a sink at addresses of the sink's namespace, of both kinds.
func (w *world) sinkAt(t *testing.T, number int, c sink.Config) *shore {
	t.Helper()
	s := new(shore)
	c.Taken = s.take
	for _, address := range []string{v4(number), v6(number)} {
		running := sink.Serve(listen(t, "sink", net.JoinHostPort(address, "25")), c)
		t.Cleanup(running.Close)
	}
	return s
}

// odd makes a domain of the signed zone with a host at addresses of the sink.
func (w *world) odd(t *testing.T, name string, number int) (bob string) {
	t.Helper()
	d := domainOf(name)
	w.zone.add(t, d+". 5 IN MX 10 "+mx(name)+".", mx(name)+". 5 IN A "+v4(number), mx(name)+". 5 IN AAAA "+v6(number))
	return "bob@" + d
}

// TestOddHosts: what hosts do that no host should, and what becomes of the mail.
func TestOddHosts(t *testing.T) {
	w := newWorld(t)
	pair := newCertificate(t, "odd.example").pair
	at := func(verb string, a sink.Answer) func(sink.Step) sink.Answer {
		return func(s sink.Step) sink.Answer {
			if s.Verb == verb {
				return a
			}
			return sink.Answer{}
		}
	}
	megabyte := strings.Repeat("250-"+strings.Repeat("x", 76)+"\r\n", 1<<20/82) + "250 OK"
	cases := []struct {
		name     string
		config   sink.Config
		line     []string // words of the attempt's line in the log
		taken    bool
		reported bool
	}{
		{"421-mid-data", sink.Config{Answer: at(sink.Octets, sink.Answer{Reply: "421 4.3.2 Going down", Close: true})}, []string{"outcome=deferred", "4.3.2 Going down"}, false, false},
		{"late-banner", sink.Config{Answer: at(sink.Connect, sink.Answer{Wait: 15 * time.Second})}, []string{"outcome=delivered"}, true, false},
		{"refuses-tls", sink.Config{TLS: &tls.Config{Certificates: []tls.Certificate{pair}}, Answer: at("STARTTLS", sink.Answer{Reply: "454 4.7.0 Not today"})},
			[]string{"outcome=delivered", `tls=""`}, true, false},
		{"breaks-tls", sink.Config{TLS: &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS10, MinVersion: tls.VersionTLS10}},
			[]string{"outcome=delivered", `tls=""`}, true, false},
		{"closes-after-dot", sink.Config{Answer: at(sink.Dot, sink.Answer{Close: true})}, []string{"outcome=deferred", "4.4.2"}, true, false},
		{"452", sink.Config{Answer: at(sink.Dot, sink.Answer{Reply: "452 4.3.1 Disk is full"})}, []string{"outcome=deferred", "452 4.3.1"}, false, false},
		{"552", sink.Config{Answer: at(sink.Dot, sink.Answer{Reply: "552 5.3.4 Too big for us"})}, []string{"outcome=failed", "552 5.3.4"}, false, true},
		{"552-for-452", sink.Config{Answer: at("RCPT", sink.Answer{Reply: "552 Too many recipients"})}, []string{"outcome=deferred", "552"}, false, false},
		{"many-lines", sink.Config{Answer: at("RCPT", sink.Answer{Reply: "550-5.1.1 Nobody here\r\n550-5.1.1 has\r\n550 5.1.1 that name"})}, []string{"outcome=failed", "Nobody here"}, false, true},
		{"no-smtp", sink.Config{Answer: at(sink.Connect, sink.Answer{Reply: "SSH-2.0-OpenSSH_9.2"})}, []string{"outcome=deferred", "no SMTP reply"}, false, false},
		{"two-codes", sink.Config{Answer: at("MAIL", sink.Answer{Reply: "250-yes\r\n550 no"})}, []string{"outcome=deferred", "250 and 550 in one"}, false, false},
		{"megabyte", sink.Config{Answer: at("EHLO", sink.Answer{Reply: megabyte})}, []string{"outcome=deferred", "more than 65536 octets"}, false, false},
		{"no-ehlo", sink.Config{Answer: at("EHLO", sink.Answer{Reply: "502 What is that"})}, []string{"outcome=delivered"}, true, false},
	}
	for i, c := range cases {
		number := hosts["sink"] + i
		bob := w.odd(t, "h"+c.name, number)
		s := w.sinkAt(t, number, c.config)
		m := w.plain(bob) // of octets that the oldest of hosts take
		w.send(t, m, bob)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits for its own host
			w.tried(t, bob, c.line...)
			if got := len(s.of(m)) > 0; got != c.taken {
				t.Errorf("the host has it: %v, not %v", got, c.taken)
			}
			if c.reported {
				w.reported(t, m, bob)
			}
		})
	}
}

// TestGreylisting: who puts strangers off gets the mail a little later, once.
func TestGreylisting(t *testing.T) {
	w := newWorld(t)
	w.rookery("setting", "set", "queue_schedule", "5s")
	var mu sync.Mutex
	known := map[string]bool{}
	s := w.sinkAt(t, hosts["sink"], sink.Config{Answer: func(st sink.Step) sink.Answer {
		mu.Lock()
		defer mu.Unlock()
		if st.Verb != "RCPT" || known[st.Line] {
			return sink.Answer{}
		}
		known[st.Line] = true
		return sink.Answer{Reply: "451 4.7.1 Greylisted, come back in a minute"}
	}})
	bob := w.odd(t, "grey", hosts["sink"])
	m := w.message(bob)
	w.send(t, m, bob)
	w.tried(t, bob, "outcome=deferred", "451 4.7.1")
	await(t, "it arrives", func() error {
		if len(s.of(m)) == 0 {
			return errors.New("it is not there")
		}
		return nil
	})
	if d := s.of(m); len(d) != 1 || len(w.attempts(t, bob)) != 2 {
		t.Errorf("it came %d times with %q", len(d), w.attempts(t, bob))
	} else if _, digest := harness.ReadDigest(d[0].Octets); digest != m.Digest {
		t.Errorf("it came as\n%q", d[0].Octets)
	}
}

// TestDomains: where mail goes, by what DNS says.
func TestDomains(t *testing.T) {
	w := newWorld(t)
	first := hosts["sink"]
	s := w.sinkAt(t, first, sink.Config{})
	nobody4, nobody6 := v4(90), v6(90)                      // no machine has these
	closed4, closed6 := v4(first+1), v6(first+1)            // nobody listens there
	live := "mx.live." + zoneName + ". 5 IN A " + v4(first) // of those who have it as their host
	w.zone.add(t, live)
	name := func(n string) string { return n + "." + zoneName + "." }
	w.zone.add(t,
		name("two")+" 5 IN MX 10 "+name("a.two"), name("two")+" 5 IN MX 20 "+name("mx.live"), name("a.two")+" 5 IN A "+closed4,
		name("gone")+" 5 IN MX 10 "+name("a.gone"), name("gone")+" 5 IN MX 20 "+name("mx.live"), name("a.gone")+" 5 IN A "+nobody4,
		name("six")+" 5 IN MX 10 "+name("a.six"), name("a.six")+" 5 IN AAAA "+closed6, name("a.six")+" 5 IN A "+v4(first),
		name("farsix")+" 5 IN MX 10 "+name("a.farsix"), name("a.farsix")+" 5 IN AAAA "+nobody6, name("a.farsix")+" 5 IN A "+v4(first),
		name("onlysix")+" 5 IN MX 10 "+name("a.onlysix"), name("a.onlysix")+" 5 IN AAAA "+v6(first),
		name("implicit")+" 5 IN A "+v4(first),
		name("alias")+" 5 IN CNAME "+name("implicit"),
		name("null")+" 5 IN MX 0 .",
		name("loop")+" 5 IN CNAME "+name("pool"), name("pool")+" 5 IN CNAME "+name("loop"),
		name("nohost")+" 5 IN TXT \"nothing\"",
		name("dangling")+" 5 IN MX 10 "+name("nowhere"),
		broken+". 5 IN MX 10 "+name("mx.live"),
		"x."+plainName+". 5 IN MX 10 "+name("mx.live"),
	)
	for i := range 500 {
		w.zone.add(t, fmt.Sprintf("%s 5 IN MX %d %s", name("many"), 1000+i, name(fmt.Sprintf("m%d.many", i))))
	}
	w.zone.add(t, name("many")+" 5 IN MX 1 "+name("mx.live"))
	w.zone.ignore("silent." + zoneName)
	for _, c := range []struct {
		domain   string
		line     []string
		taken    bool
		reported bool
	}{
		{"two." + zoneName, []string{"outcome=delivered", "host=mx.live." + zoneName}, true, false},
		{"gone." + zoneName, []string{"outcome=delivered", "host=mx.live." + zoneName}, true, false},
		{"six." + zoneName, []string{"outcome=delivered", "address=" + v4(first)}, true, false},
		{"farsix." + zoneName, []string{"outcome=delivered", "address=" + v4(first)}, true, false},
		{"onlysix." + zoneName, []string{"outcome=delivered", "address=" + v6(first)}, true, false},
		{"implicit." + zoneName, []string{"outcome=delivered", "host=implicit." + zoneName}, true, false},
		{"alias." + zoneName, []string{"outcome=delivered"}, true, false},
		{"many." + zoneName, []string{"outcome=delivered", "host=mx.live." + zoneName}, true, false},
		{"x." + plainName, []string{"outcome=delivered", "host=mx.live." + zoneName}, true, false},
		{"null." + zoneName, []string{"outcome=failed", "5.1.10"}, false, true},
		{"nosuch." + zoneName, []string{"outcome=failed", "5.1.2"}, false, true},
		{"nohost." + zoneName, []string{"outcome=failed", "5.1.2"}, false, true},
		{"dangling." + zoneName, []string{"outcome=deferred", "4.4.3"}, false, false},
		{"loop." + zoneName, []string{"outcome=deferred", "4.4.3"}, false, false},
		{broken, []string{"outcome=deferred", "4.4.3"}, false, false},
		{"silent." + zoneName, []string{"outcome=deferred", "4.4.3"}, false, false},
	} {
		bob := "bob@" + c.domain
		m := w.message(bob)
		w.send(t, m, bob)
		t.Run(c.domain, func(t *testing.T) {
			t.Parallel() // each waits for its own domain
			w.tried(t, bob, c.line...)
			if got := len(s.of(m)) > 0; got != c.taken {
				t.Errorf("the host has it: %v, not %v", got, c.taken)
			}
			if c.reported {
				w.reported(t, m, bob)
			}
		})
	}
}
