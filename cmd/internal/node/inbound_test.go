package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

// TestInbound: what comes from elsewhere is held against what its domain says, put to Junk by its score, refused, and told.
func TestInbound(t *testing.T) {
	t.Parallel()
	z := new(dnstest.Zone)
	z.Add("example.net. 60 IN MX 10 mx.example.net.")
	z.Add("mx.example.net. 60 IN A 127.0.0.1")
	z.Add(`example.net. 60 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"`)
	z.Add(`_dmarc.bank.example. 60 IN TXT "v=DMARC1; p=reject"`)
	z.Add("bank.example. 60 IN A 192.0.2.1")
	s := newSite(t, 77)
	s.more = fmt.Sprintf("[outbound]\nenabled = false\nresolvers = [%q]\n", serveZone(t, z))
	s.start(1)
	for name, value := range map[string]string{"unchecked_networks": "", "greylist_score": "0", "check_helo": "off", "check_reverse": "off"} {
		if err := s.ask(1, "PUT", "/v1/settings/"+name, adminapi.Setting{Value: value}, nil); err != nil {
			t.Fatal(err)
		}
	}
	mx := s.config(1).SMTP.MX[0]
	good := "From: Joe <joe@example.net>\r\nAuthentication-Results: n1.example.org; dmarc=pass\r\nReturn-Path: <lies@bank.example>\r\nX-Spam-Flag: NO\r\nSubject: hello\r\nMessage-ID: <good@test>\r\n\r\nHello.\r\n"
	s.eventually("a good message is taken", func() error { return sendFrom(mx, "joe@example.net", "ada@example.org", good) })
	forged := strings.ReplaceAll(good, "joe@example.net", "alerts@bank.example")
	if err := sendFrom(mx, "joe@example.net", "ada@example.org", strings.ReplaceAll(forged, "good@", "forged@")); err == nil || !strings.Contains(err.Error(), "DMARC") {
		t.Errorf("a forgery: %v", err)
	}
	if err := sendFrom(mx, "joe@example.net", "ada@example.org", "From: x@example.net\r\n"+strings.ReplaceAll(good, "good@", "two@")); err == nil || !strings.Contains(err.Error(), "2 From fields") {
		t.Errorf("two From fields: %v", err)
	}
	if err := s.ask(1, "PUT", "/v1/settings/junk_score", adminapi.Setting{Value: "1"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := sendFrom(mx, "joe@example.net", "ada@example.org", "Subject: no author\r\nMessage-ID: <none@test>\r\n\r\nHello.\r\n"); err != nil {
		t.Errorf("no author: %v", err)
	}
	s.explains(forged)
	if err := s.ask(1, "PUT", "/v1/settings/unchecked_networks", adminapi.Setting{Value: "127.0.0.0/8"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := sendFrom(mx, "joe@example.net", "ada@example.org", strings.ReplaceAll(forged, "good@", "ours@")); err != nil {
		t.Errorf("our own network: %v", err)
	}
	s.tells("<good@test>", "accept, score", "spf pass", "in INBOX")
	s.tells("joe@example.net", "it fails DMARC, and bank.example asks for reject", "550 5.7.1 The message is not from bank.example", "it has 2 From fields")
	s.tells("<none@test>", "junk, score", "from none: no From field", "in Junk")
	s.tells("<ours@test>", "is in a network that is not checked")
}

// tells waits until the stories of a name have some words.
func (s *site) tells(name string, words ...string) {
	s.t.Helper()
	s.eventually("stories of "+name, func() error {
		var told adminapi.Traces
		if err := s.ask(1, "POST", "/v1/trace", adminapi.TraceQuery{Name: name, Limit: 50}, &told); err != nil {
			return err
		}
		var text strings.Builder
		for _, m := range told.Messages {
			for _, e := range m.Events {
				fmt.Fprintln(&text, e.What, e.Checked, e.Text, "in "+e.Mailbox)
			}
		}
		for _, w := range words {
			if !strings.Contains(text.String(), w) {
				return errors.New("not told: " + w + " in\n" + text.String())
			}
		}
		return nil
	})
}

// explains: the verdict on a saved message is that of one that comes in, and follows lists and policies; nothing is delivered.
func (s *site) explains(forged string) {
	s.t.Helper()
	before := s.messages(1)
	q := adminapi.ExplainQuery{Client: "127.0.0.9", Helo: "mx.example.net", From: "joe@example.net", To: []string{"ada@example.org"}, Message: []byte(strings.ReplaceAll(forged, "\r\n", "\n"))}
	explain := func(want string) {
		s.t.Helper()
		var x adminapi.Explanation
		if err := s.ask(1, "POST", "/v1/explain", q, &x); err != nil {
			s.t.Fatal(err)
		}
		if len(x.Recipients) != 1 || x.Refused != "" {
			s.t.Fatalf("explained: %+v", x)
		}
		if r := x.Recipients[0]; !strings.Contains(fmt.Sprint(r.Action, ", ", r.Rule, " into ", r.Mailboxes), want) {
			s.t.Errorf("explained as %+v, not %q", r, want)
		}
	}
	do := func(method, path string, in any) {
		s.t.Helper()
		if err := s.ask(1, method, path, in, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	explain("refuse, it fails DMARC, and bank.example asks for reject")
	do("POST", "/v1/policies", adminapi.InboundPolicy{Of: "from:bank.example", DMARC: "quarantine"})
	explain("junk, it fails DMARC, and bank.example asks for reject, which is Junk by mail from bank.example into [Junk]")
	do("POST", "/v1/senders", adminapi.SenderEntry{Of: "example.org", Sender: "joe@example.net", Action: "refuse"})
	explain("refuse, joe@example.net is blocked by the list of domain example.org")
	do("POST", "/v1/senders", adminapi.SenderEntry{Of: "ada@example.org", Sender: "127.0.0.9", Action: "allow"})
	explain("junk, it fails DMARC")
	never := 0.0
	do("POST", "/v1/policies", adminapi.InboundPolicy{Of: "ada@example.org", DMARC: "tag", JunkScore: &never})
	explain("accept, 127.0.0.9 is allowed by the list of account ada@example.org into [INBOX]")
	do("POST", "/v1/policies", adminapi.InboundPolicy{Of: "example.org", SubaddressFolders: "existing"})
	q.To = []string{"ada+archive@example.org"}
	explain("into [Archive]")
	q.To = []string{"ada+nothing@example.org"}
	explain("into [INBOX]")
	q.To = []string{"ada@example.org"}
	do("DELETE", "/v1/policies/example.org", nil)
	var list []adminapi.SenderEntry
	if err := s.ask(1, "GET", "/v1/senders", nil, &list); err != nil || len(list) != 2 {
		s.t.Errorf("the lists of senders: %+v, %v", list, err)
	}
	var effective adminapi.InboundPolicy
	if err := s.ask(1, "GET", "/v1/policies/ada@example.org", nil, &effective); err != nil || effective.DMARC != "tag" || *effective.JunkScore != 0 || *effective.RefuseScore != 15 {
		s.t.Errorf("what holds: %+v, %v", effective, err)
	}
	do("DELETE", "/v1/senders?of=example.org&sender=joe@example.net", nil)
	do("DELETE", "/v1/senders?of=ada@example.org&sender=127.0.0.9", nil)
	do("DELETE", "/v1/policies/from:bank.example", nil)
	do("DELETE", "/v1/policies/ada@example.org", nil)
	explain("refuse, it fails DMARC, and bank.example asks for reject")
	if after := s.messages(1); after != before {
		s.t.Errorf("%d messages became %d", before, after)
	}
}
