//go:build linux

package netnstest

import (
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// TestPeers sends mail to servers that others wrote.
func TestPeers(t *testing.T) {
	w := newWorld(t)
	for name, start := range map[string]func(*testing.T, certificate) *peer{"postfix": startPostfix, "exim": startExim, "opensmtpd": startOpenSMTPD} {
		t.Run(name, func(t *testing.T) {
			w.zone.add(t, domainOf(name)+". 5 IN MX 10 "+mx(name)+".", mx(name)+". 5 IN A "+v4(hosts[name]), mx(name)+". 5 IN AAAA "+v6(hosts[name]))
			p := start(t, newCertificate(t, mx(name)))
			t.Run("arrives", func(t *testing.T) { arrives(t, w, p) })
			t.Run("refused", func(t *testing.T) { refused(t, w, p) })
			if name == "postfix" {
				t.Run("too big", func(t *testing.T) { tooBig(t, w, p) })
				t.Run("no SMTPUTF8", func(t *testing.T) { noUTF8(t, w, p) })
			}
		})
	}
}

// arrives: mail arrives once, byte for byte, over TLS and IPv6.
func arrives(t *testing.T, w *world, p *peer) {
	var all []harness.Message
	bob := "bob@" + domainOf(p.name)
	for range 12 {
		m := w.message(bob)
		w.send(t, m, bob)
		all = append(all, m)
	}
	for _, m := range all {
		w.arrives(t, p, m)
	}
	line := w.tried(t, bob, "outcome=delivered", "host="+mx(p.name), "address="+v6(hosts[p.name]))
	// That of Debian 12 offers STARTTLS and fails in each handshake: mail goes in clear then.
	if !strings.Contains(line, `tls="TLS1.3 `) && !(p.name == "opensmtpd" && strings.Contains(line, `tls="" `)) {
		t.Errorf("not over TLS: %s", line)
	}
	if n := len(w.attempts(t, bob)); n != len(all) {
		t.Errorf("%d attempts for %d messages", n, len(all))
	}
}

// refused: what a peer refuses comes back with its words; who was taken along with that gets the mail.
func refused(t *testing.T, w *world, p *peer) {
	bob, nobody := "bob@"+domainOf(p.name), "nosuchuser@"+domainOf(p.name)
	m := w.message(bob)
	w.send(t, m, bob, nobody)
	w.arrives(t, p, m)
	text := w.reported(t, m, nobody)
	for _, want := range []string{"Action: failed", "Remote-MTA: dns; " + mx(p.name), "Diagnostic-Code: smtp; 55"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// tooBig: what a peer has no room for is not sent to it, and comes back.
func tooBig(t *testing.T, w *world, p *peer) {
	bob := "bob@" + domainOf(p.name)
	m := w.plain(bob, "X-Filler: "+strings.Repeat(strings.Repeat("x", 70)+"\r\n ", 4000)+"x")
	w.send(t, m, bob)
	if text := w.reported(t, m, bob); !strings.Contains(text, "Status: 5.3.4") || !strings.Contains(text, "the host takes 200000") {
		t.Errorf("the report is\n%s", text)
	}
}

// noUTF8: a peer that does not know SMTPUTF8 gets what it can read, and no more (RFC 6531, section 3.5).
func noUTF8(t *testing.T, w *world, p *peer) {
	bob := "bob@" + domainOf(p.name)
	w.options = &smtp.MailOptions{UTF8: true}
	defer func() { w.options = nil }()
	m := w.plain(bob, "Keywords: gr\u00fcn")
	w.send(t, m, bob)
	if text := w.reported(t, m, bob); !strings.Contains(text, "Status: 5.6.7") {
		t.Errorf("the report is\n%s", text)
	}
	m = w.plain(bob)
	w.send(t, m, bob)
	w.arrives(t, p, m)
}
