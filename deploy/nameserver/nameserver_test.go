package nameserver_test

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/rookery-mail/rookery/deploy/nameserver"
)

// TestServer: what is in it is answered, what is not is no name, and both ways of asking work.
func TestServer(t *testing.T) {
	z, err := nameserver.Start("127.0.0.1:0", "a.example. 60 IN TXT \"one\" \"two\"\na.example. 60 IN A 192.0.2.1\n\n")
	if err != nil {
		t.Fatal(err)
	}
	address := z.Address()
	for _, way := range []string{"udp", "tcp"} {
		ask := func(name string, kind uint16) *dns.Msg {
			q := new(dns.Msg)
			q.SetQuestion(name, kind)
			reply, _, err := (&dns.Client{Net: way}).Exchange(q, address)
			if err != nil {
				t.Fatal(err)
			}
			return reply
		}
		if r := ask("A.Example.", dns.TypeTXT); len(r.Answer) != 1 || len(r.Answer[0].(*dns.TXT).Txt) != 2 {
			t.Errorf("%s: the text is %v", way, r.Answer)
		}
		if r := ask("a.example.", dns.TypeMX); len(r.Answer) != 0 || r.Rcode != dns.RcodeSuccess {
			t.Errorf("%s: a kind that it has not is %v", way, r)
		}
		if r := ask("b.example.", dns.TypeA); r.Rcode != dns.RcodeNameError {
			t.Errorf("%s: a name that it has not is %v", way, r)
		}
	}
	if err := z.Close(); err != nil {
		t.Error(err)
	}
	if _, err := nameserver.Start(address, "nonsense"); err == nil {
		t.Error("nonsense is served")
	}
}
