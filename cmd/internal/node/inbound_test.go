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
