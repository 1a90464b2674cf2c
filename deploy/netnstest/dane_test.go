//go:build linux

package netnstest

import (
	"crypto/tls"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/rookery-mail/rookery/deploy/sink"
)

// tlsa publishes a record for a host.
func (w *world) tlsa(t *testing.T, host, record string) {
	t.Helper()
	w.zone.add(t, "_25._tcp."+host+". 5 IN TLSA "+record)
}

// inClear notes who was given a sender in the clear.
type inClear struct {
	mu   sync.Mutex
	seen []string
}

func (c *inClear) answer(s sink.Step) sink.Answer {
	if s.Verb == "MAIL" && !s.Delivery.TLS {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.seen = append(c.seen, s.Line)
	}
	return sink.Answer{}
}

// TestDANE: a host that the signed DNS says more of is held to it (RFC 7672).
func TestDANE(t *testing.T) {
	w := newWorld(t)
	good, other := newCertificate(t, "mx.example"), newCertificate(t, "other.example")
	secure := &tls.Config{Certificates: []tls.Certificate{good.pair}}
	const unusable = "0 0 1 0000000000000000000000000000000000000000000000000000000000000000"
	for i, c := range []struct {
		name   string
		plain  bool // in the zone that is not signed
		tls    *tls.Config
		record string
		line   []string
		taken  bool
		clear  bool // it may go so
	}{
		{"good", false, secure, good.tlsa, []string{"outcome=delivered", "TLS1.3", "DANE"}, true, false},
		{"other", false, secure, other.tlsa, []string{"outcome=deferred"}, false, false},
		{"stripped", false, nil, good.tlsa, []string{"outcome=deferred"}, false, false},
		{"unusable", false, secure, unusable, []string{"outcome=delivered", "TLS1.3"}, true, false},
		{"unusable-stripped", false, nil, unusable, []string{"outcome=deferred"}, false, false},
		{"unsigned", true, secure, other.tlsa, []string{"outcome=delivered", "TLS1.3"}, true, false},
		{"unsigned-stripped", true, nil, other.tlsa, []string{"outcome=delivered", `tls=""`}, true, true},
	} {
		number := hosts["sink"] + i
		zone := zoneName
		if c.plain {
			zone = plainName
		}
		d := c.name + "." + zone
		w.zone.add(t, d+". 5 IN MX 10 mx."+d+".", "mx."+d+". 5 IN A "+v4(number), "mx."+d+". 5 IN AAAA "+v6(number))
		w.tlsa(t, "mx."+d, c.record)
		open := new(inClear)
		s := w.sinkAt(t, number, sink.Config{TLS: c.tls, Answer: open.answer})
		bob := "bob@" + d
		m := w.message(bob)
		w.send(t, m, bob)
		t.Run(c.name, func(t *testing.T) {
			w.tried(t, bob, c.line...)
			if got := len(s.of(m)) > 0; got != c.taken {
				t.Errorf("the host has it: %v, not %v", got, c.taken)
			}
			open.mu.Lock()
			defer open.mu.Unlock()
			if !c.clear && len(open.seen) > 0 {
				t.Errorf("in the clear: %q", open.seen)
			}
		})
	}
}

// TestDANEMended: mail to a host that shows another certificate than DNS says waits, and goes when that was put right.
func TestDANEMended(t *testing.T) {
	w := newWorld(t)
	w.rookery("setting", "set", "queue_schedule", "6s")
	good, old := newCertificate(t, mx("postfix")), newCertificate(t, mx("postfix"))
	w.zone.add(t, domainOf("postfix")+". 5 IN MX 10 "+mx("postfix")+".", mx("postfix")+". 5 IN A "+v4(hosts["postfix"]))
	w.tlsa(t, mx("postfix"), old.tlsa)
	p := startPostfix(t, good)
	bob := "bob@" + domainOf("postfix")
	m := w.message(bob)
	w.send(t, m, bob)
	w.tried(t, bob, "outcome=deferred")
	if n := len(p.messages(t)); n > 0 {
		t.Fatalf("postfix has %d messages", n)
	}
	w.zone.remove("_25._tcp."+mx("postfix"), dns.TypeTLSA)
	w.tlsa(t, mx("postfix"), good.tlsa)
	w.arrives(t, p, m)
	await(t, "an attempt is good", func() error {
		lines := w.attempts(t, bob)
		if last := lines[len(lines)-1]; !strings.Contains(last, "outcome=delivered") || !strings.Contains(last, "DANE") {
			return errors.New(last)
		}
		return nil
	})
}
