package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// has reports whether the sink has a message with a text, for whom.
func (s *sink) has(to, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.octets {
		if strings.HasPrefix(m, to+"\n") && strings.Contains(m, text) {
			return nil
		}
	}
	return fmt.Errorf("the sink has %q", s.octets)
}

// TestHeldAccount: a held account's mail waits for its release, administrators hear of a hold by the brakes, and what an alias
// sends on goes its way.
func TestHeldAccount(t *testing.T) {
	sink := new(sink)
	s := newSite(t, 68)
	s.more = fmt.Sprintf("[outbound]\nenabled = true\nrelay = %q\nresolvers = [\"127.0.0.1\"]\n", sink.serve(t))
	s.start(1)
	do := func(method, path string, in, out any) {
		t.Helper()
		if err := s.ask(1, method, path, in, out); err != nil {
			t.Fatal(err)
		}
	}
	mail := func(n int) string {
		return fmt.Sprintf("From: ada@example.org\r\nSubject: plan %d\r\nMessage-ID: <held%d@example.org>\r\nDate: today\r\n\r\nhello\r\n", n, n)
	}
	s.eventually("a message is queued", func() error { return s.submit(1, mail(1), "bob@sink.test") }) // not before the level is raised
	s.eventually("it arrives", func() error { return sink.has("bob@sink.test", "plan 1") })

	const account = "/v1/accounts/ada@example.org"
	do("POST", account+"/hold", adminapi.SendingHold{Why: "on the phone"}, nil)
	if err := s.submit(1, mail(2), "bob@sink.test"); err != nil {
		t.Error(err)
	}
	show := func() adminapi.Sending {
		t.Helper()
		var a adminapi.Account
		do("GET", account, nil, &a)
		if a.Sending == nil {
			t.Fatalf("%+v without what it sent", a)
		}
		return *a.Sending
	}
	if shown := show(); !shown.Held || shown.HeldMessages != 1 || shown.Why != "on the phone" {
		t.Errorf("shown as %+v", shown)
	}
	do("POST", "/v1/aliases", adminapi.Alias{Address: "team@example.org", Targets: []string{"ada@example.org", "joe@sink.test"}}, nil)
	s.eventually("an alias is sent on", func() error { return send(s.config(1).SMTP.MX[0], "team@example.org", mail(3)) })
	s.eventually("it arrives", func() error { return sink.has("joe@sink.test", "plan 3") })
	if err := sink.has("bob@sink.test", "plan 2"); err == nil {
		t.Error("what is held was sent")
	}
	var accounts []adminapi.Account
	do("GET", "/v1/accounts", nil, &accounts)
	if len(accounts) != 1 || accounts[0].Sending == nil {
		t.Errorf("listed as %+v", accounts)
	}
	var released adminapi.SendingReleased
	do("POST", account+"/release", adminapi.SendingRelease{}, &released)
	if !released.Was || released.Entries != 1 {
		t.Errorf("released: %+v", released)
	}
	s.eventually("what was held arrives", func() error { return sink.has("bob@sink.test", "plan 2") })

	do("PUT", "/v1/settings/send_over", adminapi.Setting{Value: "hold"}, nil)
	do("PUT", "/v1/settings/send_messages_hour", adminapi.Setting{Value: "1"}, nil)
	n := 3
	s.eventually("the brakes hold", func() error { // settings are read anew after a moment
		n++
		if err := s.submit(1, mail(n), "bob@sink.test"); err != nil {
			return err
		}
		if !show().Held {
			return errors.New("not yet")
		}
		return nil
	})
	s.eventually("an administrator is told", func() error {
		if show().Told.IsZero() {
			return errors.New("not yet")
		}
		return nil
	})
	k := s.talk(1)
	k.ok("SELECT INBOX")
	if all := strings.Join(k.ok("FETCH 1:* (BODY.PEEK[])"), "\n"); strings.Count(all, "Subject: Mail of ada@example.org is held") != 1 ||
		!strings.Contains(all, "more than 1 messages an hour") || !strings.Contains(all, "Subject: plan 3") {
		t.Errorf("the inbox has\n%s", all)
	}
	k.ok("LOGOUT")
	do("POST", account+"/release", adminapi.SendingRelease{DeleteHeld: true}, &released)
	if !released.Was || released.Entries == 0 {
		t.Errorf("released: %+v", released)
	}
}
