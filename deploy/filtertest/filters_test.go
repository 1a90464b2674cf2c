//go:build linux

package filtertest

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"
)

// Where the filters listen, and what they look for: the patterns that everybody's filters take for spam, and a signature of our own.
const (
	rspamdAt    = "127.89.0.1:11333"
	spamdAt     = "127.89.0.2:783"
	clamdAt     = "127.89.0.3:3310"
	opendkimAt  = "127.89.0.4:8891"
	opendmarcAt = "127.89.0.5:8893"

	gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
	virus = "X-ROOKERY-TEST-SIGNATURE-7f3a9c51"
)

func startRspamd(t *testing.T) {
	start(t, "rspamd", rspamdAt, map[string]string{
		"etc/rspamd/local.d/worker-normal.inc":     "bind_socket = \"" + rspamdAt + "\";\ncount = 1;\n",
		"etc/rspamd/local.d/worker-controller.inc": "enabled = false;\n",
		"etc/rspamd/local.d/worker-proxy.inc":      "enabled = false;\n",
		"etc/rspamd/local.d/options.inc":           "disable_hyperscan = true;\nlocal_addrs = [];\ndns { nameserver = [\"" + namesAddress + ":53:1\"]; timeout = 1s; retransmits = 1; }\n",
	}, "/usr/bin/rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd")
}

func startSpamd(t *testing.T) {
	host, port, _ := strings.Cut(spamdAt, ":")
	start(t, "spamd", spamdAt, map[string]string{}, "/usr/sbin/spamd", "-L", "-x", "-i", host, "-A", "127.0.0.0/8", "-p", port, "--max-children", "1", "-s", "stderr")
}

func startClamd(t *testing.T) *daemon {
	host, port, _ := strings.Cut(clamdAt, ":")
	return start(t, "clamd", clamdAt, map[string]string{
		"srv/signatures/test.ndb": "Rookery.Test.Signature:0:*:" + hex.EncodeToString([]byte(virus)) + "\n",
		"srv/clamd.conf":          fmt.Sprintf("DatabaseDirectory /srv/signatures\nTCPAddr %s\nTCPSocket %s\nForeground yes\nUser root\nStreamMaxLength 25M\n", host, port),
	}, "/usr/sbin/clamd", "-c", "/srv/clamd.conf")
}

func startOpendkim(t *testing.T) {
	host, port, _ := strings.Cut(opendkimAt, ":")
	start(t, "opendkim", opendkimAt, map[string]string{
		"srv/opendkim.conf": fmt.Sprintf("Socket inet:%s@%s\nMode v\nAlwaysAddARHeader yes\nAuthservID filter.example.org\nNameservers %s\nSyslog no\n", port, host, namesAddress),
	}, "/usr/sbin/opendkim", "-f", "-x", "/srv/opendkim.conf")
}

func startOpendmarc(t *testing.T) {
	host, port, _ := strings.Cut(opendmarcAt, ":")
	start(t, "opendmarc", opendmarcAt, map[string]string{
		"srv/opendmarc.conf": fmt.Sprintf("Socket inet:%s@%s\nAuthservID dmarc.example.org\nTrustedAuthservIDs filter.example.org\nRejectFailures true\nSPFIgnoreResults true\nSPFSelfValidate false\nSyslog false\nIgnoreAuthenticatedClients false\nPublicSuffixList /srv/suffixes\n", port, host),
		"srv/suffixes":       "example\norg\n",
	}, "/usr/sbin/opendmarc", "-f", "-c", "/srv/opendmarc.conf")
}

// TestFilters: mail that nothing is wrong with passes all of them, and each finds what it is for.
func TestFilters(t *testing.T) {
	w := newWorld(t)
	startRspamd(t)
	startSpamd(t)
	clamd := startClamd(t)
	startOpendkim(t)
	startOpendmarc(t)
	w.do(t, "filter", "add", "dkim", "milter", opendkimAt, "--order", "10")
	w.do(t, "filter", "add", "dmarc", "milter", opendmarcAt, "--order", "20")
	w.do(t, "filter", "add", "spam", "rspamd", rspamdAt, "--order", "30", "--timeout", "30s")
	w.do(t, "filter", "add", "assassin", "spamd", spamdAt, "--order", "40", "--timeout", "30s")
	w.do(t, "filter", "add", "virus", "clamd", clamdAt, "--order", "50")
	for _, story := range []struct {
		name string
		tell func(*testing.T, *world)
	}{{"ham", ham}, {"signatures", signatures}, {"spam", spam}, {"a virus", harm}} {
		t.Run(story.name, func(t *testing.T) { story.tell(t, w) })
	}
	t.Run("a filter dies while it listens", func(t *testing.T) { death(t, w, clamd) })
}

// ham passes.
func ham(t *testing.T, w *world) {
	w.only(t, "dkim", "dmarc", "spam", "assassin", "virus")
	text := w.letter(t, "your statement", "Dear Ada,\n\nyour statement of October is ready, and can be fetched at our counter.\n\nYour bank", true)
	expect(t, w.test(t, text), "milter:dkim: pass", "milter:dmarc: pass", "rspamd:spam: pass", "spamd:assassin: pass", "clamd:virus: pass",
		"Authentication-Results: filter.example.org;", "dkim=pass", "dmarc=pass")
	if refused := w.send(t, text); refused != nil {
		t.Fatal(refused)
	}
	w.told(t, "milter:dkim pass", "milter:dmarc pass", "rspamd:spam pass", "spamd:assassin pass", "clamd:virus pass", "dkim pass")
}

// signatures are worth the same to opendkim and to us; what it writes is read by opendmarc behind it.
func signatures(t *testing.T, w *world) {
	w.only(t, "dkim", "dmarc")
	good := w.letter(t, "signed", "A word from your bank.", true)
	bad := []byte(strings.Replace(string(good), "A word", "A lie!", 1))
	out := w.test(t, bad)
	expect(t, out, "milter:dkim: pass", "dkim=fail", "milter:dmarc: 550")
	w.only(t, "dkim")
	if refused := w.send(t, bad); refused != nil {
		t.Fatal(refused)
	}
	w.told(t, "dkim fail") // by SPF it is still the bank's
}

// spam is refused by rspamd, and by spamd.
func spam(t *testing.T, w *world) {
	text := w.letter(t, "news", gtube, true)
	w.only(t, "spam")
	refusedWith(t, w.send(t, text), 550, "Gtube")
	w.told(t, "rspamd:spam refuse")
	w.only(t, "assassin")
	refusedWith(t, w.send(t, text), 550, "spam")
	w.told(t, "spamd:assassin spam", "GTUBE 1000")
}

// harm is refused by clamd.
func harm(t *testing.T, w *world) {
	w.only(t, "virus")
	refusedWith(t, w.send(t, w.letter(t, "an offer", "Open this: "+virus, true)), 550, "Rookery.Test.Signature")
	w.told(t, "clamd:virus virus")
}

// death: without the filter mail goes on, or is put off, as it is set.
func death(t *testing.T, w *world, clamd *daemon) {
	killer := between(t, clamdAt, clamd.kill)
	w.only(t, "virus")
	w.do(t, "filter", "set", "virus", "--address", killer, "--closed")
	text := w.letter(t, "in the middle", strings.Repeat("One line of many.\n", 50_000), true)
	refusedWith(t, w.send(t, text), 451, "")
	w.told(t, "clamd:virus error")
	w.do(t, "filter", "set", "virus", "--closed=false")
	if refused := w.send(t, text); refused != nil {
		t.Errorf("an open filter that is dead: %v", refused)
	}
	w.told(t, "goes on without")
}

// between passes on what is said to a filter, until the middle of the first message, where kill is called.
func between(t *testing.T, filter string, kill func()) string {
	l, err := net.Listen("tcp", "127.89.0.6:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if d, err := net.Dial("tcp", filter); err == nil {
				_, _ = io.CopyN(d, c, 200_000)
				kill()
				_, _ = io.Copy(c, d) // until the death is seen
				d.Close()
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func refusedWith(t *testing.T, refused *textproto.Error, code int, words string) {
	t.Helper()
	if refused == nil || refused.Code != code || !strings.Contains(refused.Msg, words) {
		t.Errorf("it got %v, not %d %s", refused, code, words)
	}
}

func expect(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in\n%s", word, text)
		}
	}
}

// told waits until `rookery trace` says all of words about the recipient.
func (w *world) told(t *testing.T, words ...string) {
	t.Helper()
	await(t, "the story is told", func() error {
		out, err := w.node.Run(within(t), "", "trace", "ada@example.org")
		if err != nil {
			return err
		}
		for _, word := range words {
			if !strings.Contains(string(out), word) {
				return fmt.Errorf("it does not say %q:\n%s", word, out)
			}
		}
		return nil
	})
}
