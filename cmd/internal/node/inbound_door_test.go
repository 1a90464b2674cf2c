package node

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

// TestDoor: clients that a relay names by XCLIENT are looked up, asked to come again, and turned away once they tried names.
func TestDoor(t *testing.T) {
	t.Parallel()
	z := new(dnstest.Zone)
	z.Add("example.net. 60 IN MX 10 mx.example.net.\nmx.example.net. 60 IN A 192.0.2.6\n6.2.0.192.in-addr.arpa. 60 IN PTR mx.example.net.\n" +
		"7.2.0.192.bl.example. 60 IN A 127.0.0.2\n9.2.0.192.in-addr.arpa. 60 IN PTR nine.example.net.\nnine.example.net. 60 IN A 192.0.2.9")
	s := newSite(t, 78)
	s.more = fmt.Sprintf("[outbound]\nenabled = false\nresolvers = [%q]\n[inbound]\nxclient_networks = [\"127.0.0.0/8\"]\n", serveZone(t, z))
	s.start(1)
	if err := s.ask(1, "PUT", "/v1/settings/harvest_recipients", adminapi.Setting{Value: "5"}, nil); err != nil {
		t.Fatal(err)
	}
	s.eventually("a list is set", func() error { // not before the level is raised
		return s.ask(1, "POST", "/v1/dns-lists", adminapi.DNSList{Zone: "bl.example", Codes: "127.0.0.2=12"}, nil)
	})
	s.eventually("the settings hold", func() error {
		got := s.knock("192.0.2.7", "MAIL FROM:<joe@example.net>", "RCPT TO:<ada@example.org>", "RCPT TO:<postmaster@example.org>")
		if want := "220 250 550 250"; !strings.HasPrefix(got, want) || !strings.Contains(got, "192.0.2.7 is in bl.example (127.0.0.2)") {
			return errors.New(got)
		}
		return nil
	})
	if got := s.knock("192.0.2.6", "MAIL FROM:<joe@example.net>", "RCPT TO:<ada@example.org>"); !strings.HasPrefix(got, "220 250 250 ") {
		t.Errorf("a server as it should be: %s", got)
	}
	if got := s.knock("198.51.100.8", "MAIL FROM:<joe@example.net>", "RCPT TO:<ada@example.org>"); !strings.HasPrefix(got, "220 250 451 ") || !strings.Contains(got, "try again in 5 minutes") {
		t.Errorf("one without a name: %s", got)
	}
	if got := s.knock("192.0.2.6", "MAIL FROM:<joe@gone.example>"); !strings.HasPrefix(got, "220 550 ") {
		t.Errorf("a sender who is not: %s", got)
	}
	names := []string{"MAIL FROM:<joe@example.net>"}
	for i := range 5 {
		names = append(names, fmt.Sprintf("RCPT TO:<name%d@example.org>", i))
	}
	if got := s.knock("192.0.2.9", names...); !strings.HasPrefix(got, "220 250 550 550 550 550 550 ") {
		t.Errorf("who tries names: %s", got)
	}
	if got := s.knock("192.0.2.9"); !strings.HasPrefix(got, "421 ") || !strings.Contains(got, "Mail from 192.0.2.9 is not taken before") {
		t.Errorf("who tried names: %s", got)
	}
	var bans []adminapi.Ban
	if err := s.ask(1, "GET", "/v1/bans", nil, &bans); err != nil || len(bans) != 1 || bans[0].Reason != "5 recipients that nobody knows within 15 minutes" {
		t.Errorf("bans: %+v, %v", bans, err)
	}
	var lists []adminapi.DNSList
	if err := s.ask(1, "GET", "/v1/dns-lists", nil, &lists); err != nil || len(lists) != 1 || lists[0].Listed == 0 || lists[0].Asked <= lists[0].Listed {
		t.Errorf("lists: %+v, %v", lists, err)
	}
	var answers []adminapi.DNSListAnswer
	if err := s.ask(1, "GET", "/v1/dns-lists-test/192.0.2.7", nil, &answers); err != nil || len(answers) != 1 || answers[0].Result != "listed" || answers[0].Score != 12 {
		t.Errorf("the lists say: %+v, %v", answers, err)
	}
}

// knock says lines to port 25 of node 1 as a client with an address, and gives the codes of the replies and the last text.
func (s *site) knock(client string, lines ...string) string {
	s.t.Helper()
	c, err := textproto.Dial("tcp", s.config(1).SMTP.MX[0])
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	var codes, texts []string
	said := append([]string{"", "XCLIENT ADDR=" + client + " HELO=mx.example.net PROTO=ESMTP"}, lines...)
	for i, line := range said {
		if i > 0 {
			if err := c.PrintfLine("%s", line); err != nil {
				return err.Error()
			}
		}
		code, text, err := c.ReadResponse(0)
		if err != nil {
			return strings.Join(codes, " ") + " " + err.Error()
		}
		if i > 0 {
			codes, texts = append(codes, fmt.Sprint(code)), append(texts, text)
		}
	}
	return strings.Join(codes, " ") + " " + strings.Join(texts, " | ")
}
