//go:build linux

package netnstest

import (
	"errors"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/deploy/harness"
	"github.com/rookery-mail/rookery/deploy/sink"
)

// TestForwarded: what an alias leads to elsewhere gets mail with a sender that the receiver can check, and where it
// refuses, the one who wrote is told.
func TestForwarded(t *testing.T) {
	w := newWorld(t)
	eve := "eve@x." + plainName
	w.zone.add(t, "x."+plainName+". 5 IN MX 10 mx.x."+plainName+".", "mx.x."+plainName+". 5 IN A "+v4(hosts["sink"]),
		domainOf("postfix")+". 5 IN MX 10 "+mx("postfix")+".", mx("postfix")+". 5 IN A "+v4(hosts["postfix"]))
	home := w.sinkAt(t, hosts["sink"], sink.Config{})
	p := startPostfix(t, newCertificate(t, mx("postfix")))
	w.rookery("alias", "add", "team@"+domain, "bob@"+domainOf("postfix"))
	w.rookery("alias", "add", "gone@"+domain, "nosuchuser@"+domainOf("postfix"))
	outside := func(to string) harness.Message {
		m := w.message(to)
		m.From = eve
		s := harness.NewSender(w.cluster.Nodes(), 0)
		defer s.Close()
		await(t, "mail for "+to+" is taken", func() error { // at the first start the cluster's level is to be raised yet
			_, err := s.Once(t.Context(), m, to)
			return err
		})
		return m
	}
	text := w.arrives(t, p, outside("team@"+domain))
	if !strings.HasPrefix(text, "Return-Path: <SRS0=") || !strings.Contains(text[:100], "@"+domain+">\r\n") {
		t.Errorf("the sender is %q", text[:100])
	}
	m := outside("gone@" + domain)
	var report sink.Delivery
	await(t, "eve is told", func() error {
		home.mu.Lock()
		defer home.mu.Unlock()
		for _, d := range home.taken {
			if strings.Contains(string(d.Octets), m.ID) {
				report = d
				return nil
			}
		}
		return errors.New("she is not")
	})
	if octets := string(report.Octets); !strings.HasPrefix(report.From, "FROM:<>") || strings.Join(report.To, " ") != eve || !strings.Contains(octets, "multipart/report") ||
		!strings.Contains(octets, "Action: failed") {
		t.Errorf("from %s to %v:\n%s", report.From, report.To, octets)
	}
}
