//go:build linux

package netnstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// The user who writes.
const (
	domain   = "rookery." + zoneName
	ada      = "ada@" + domain
	password = "netns-password"
)

// world is all there is: Rookery, DNS, and what a test starts.
type world struct {
	t       *testing.T
	zone    *zone
	cluster *harness.Cluster
	number  atomic.Int64
	options *smtp.MailOptions // of MAIL; nil is none
}

// newWorld starts DNS and Rookery.
func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv(inside) == "" {
		t.Skip("set ROOKERY_NETNS=1, or use make netns-test")
	}
	w := &world{t: t, zone: newZone(t)}
	startUnbound(t, w.zone)
	binary := os.Getenv("ROOKERY_BINARY")
	if binary == "" {
		binary = "../../bin/rookery"
	}
	c, err := harness.New(harness.Config{Binary: binary, Nodes: 1, Partitions: 2, Domain: domain, Progress: t.Logf,
		ExtraTOML: "outbound.enabled = true\noutbound.resolvers = [\"127.0.0.1\"]\noutbound.dnssec = true"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if keep := os.Getenv("ROOKERY_NETNS_KEEP"); keep != "" {
			log, err := os.ReadFile(c.Nodes()[0].LogPath())
			if err := errors.Join(err, os.WriteFile(filepath.Join(keep, t.Name()+".log"), log, 0o600)); err != nil {
				t.Log(err)
			}
		}
		c.Close()
	})
	w.cluster = c
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	w.rookery("domain", "add", domain)
	if err := c.Nodes()[0].AddAccount(ctx, ada, password); err != nil {
		t.Fatal(err)
	}
	return w
}

// rookery runs a command.
func (w *world) rookery(args ...string) string {
	w.t.Helper()
	out, err := w.cluster.Nodes()[0].Run(w.t.Context(), "", args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(out)
}

// message makes the next message from ada.
func (w *world) message(to string) harness.Message {
	m := harness.Corpus{Seed: 25, Domain: domain}.Message(int(w.number.Add(1)), to)
	m.From = ada
	return m
}

// plain makes one that is short and has no octet above 127, with a line of a header more for each of more.
func (w *world) plain(to string, more ...string) harness.Message {
	m := harness.Message{ID: fmt.Sprintf("<%d.plain@%s>", w.number.Add(1), domain), From: ada}
	m.Raw = []byte("Message-ID: " + m.ID + "\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: <" + ada + ">\r\nTo: <" + to + ">\r\nSubject: plain\r\n" +
		strings.Join(append(more, ""), "\r\n") + "\r\n" + strings.Repeat(".A line that begins with a dot.\r\n", 30))
	_, m.Digest = harness.ReadDigest(m.Raw)
	return m
}

// send submits a message as ada.
func (w *world) send(t *testing.T, m harness.Message, to ...string) {
	t.Helper()
	s := harness.NewSender(w.cluster.Nodes(), 0)
	s.Account, s.Password, s.Options = ada, password, w.options
	defer s.Close()
	await(t, "a submission is taken", func() error { // at the first start the cluster's level is to be raised yet
		_, err := s.Once(t.Context(), m, to...)
		return err
	})
}

// arrives waits until a peer has a message once, as it was sent, and gives it.
func (w *world) arrives(t *testing.T, p *peer, m harness.Message) (text string) {
	t.Helper()
	await(t, "it arrives at "+p.name, func() error {
		all := p.messages(t)
		i := slices.IndexFunc(all, func(text string) bool { id, _ := harness.ReadDigest([]byte(text)); return id == m.ID })
		if i < 0 {
			return fmt.Errorf("%s has %d others; it says:\n%s", p.name, len(all), p.said())
		}
		text = all[i]
		return nil
	})
	w.once(t, p, m)
	if _, digest := harness.ReadDigest([]byte(text)); digest != m.Digest {
		t.Errorf("it was sent as\n%q\nand %s has\n%q", m.Raw, p.name, text)
	}
	return text
}

// once holds that a peer has a message once.
func (w *world) once(t *testing.T, p *peer, m harness.Message) {
	t.Helper()
	count := 0
	for _, text := range p.messages(t) {
		if id, _ := harness.ReadDigest([]byte(text)); id == m.ID {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%s has it %d times", p.name, count)
	}
}

// reported waits until ada has a report of failure about a message, and gives its text.
func (w *world) reported(t *testing.T, m harness.Message, recipient string) (text string) {
	t.Helper()
	await(t, "ada is told about "+recipient, func() error {
		found, err := w.cluster.Nodes()[0].ReadAll(t.Context(), ada, password)
		if err != nil {
			return err
		}
		count := 0
		for _, f := range found {
			if f.Reports != nil && f.Reports.ID == m.ID && slices.Contains(f.Reports.Failed, recipient) {
				count++
				text = f.Text
			}
		}
		if count == 0 {
			return errors.New("there is no report")
		}
		if count > 1 {
			t.Errorf("%d reports", count)
		}
		return nil
	})
	return text
}

// attempts are the lines of Rookery's log about attempts for a recipient.
func (w *world) attempts(t *testing.T, recipient string) (lines []string) {
	t.Helper()
	log, err := os.ReadFile(w.cluster.Nodes()[0].LogPath())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "msg=attempt ") && strings.Contains(line, " to="+recipient+" ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// tried waits until there was an attempt for a recipient, and holds that the last one's line has certain words.
func (w *world) tried(t *testing.T, recipient string, want ...string) (line string) {
	t.Helper()
	await(t, "an attempt for "+recipient, func() error {
		lines := w.attempts(t, recipient)
		if len(lines) == 0 {
			return errors.New("there is none")
		}
		line = lines[len(lines)-1]
		return nil
	})
	for _, words := range want {
		if !strings.Contains(line, words) {
			t.Errorf("no %q in %s", words, line)
		}
	}
	return line
}
