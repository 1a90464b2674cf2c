package dsn

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var at = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func reports() map[string]Report {
	header := []byte("From: ada@example.org\r\nSubject: The\r\n plan\r\nMessage-ID: <1@example.org>\r\n\r\n")
	base := Report{Hostname: "mx.example.org", To: "ada@example.org", ID: "QX", Date: at.Add(time.Hour), EnvID: "QQ+2B314", Arrived: at, Header: header}
	failed, delayed, good := base, base, base
	failed.Body = []byte("The plan is \xc3\xa4.\r\n")
	failed.Recipients = []Recipient{
		{Address: "bob@example.com", ORCPT: "rfc822;Bob+2B1@Example.COM", Action: Failed, Status: "5.1.1", Host: "mx.example.com", Reply: "550 5.1.1 No such user\r\nX-Evil: 1", At: at.Add(time.Minute)},
		{Address: "joe@nowhere.example", Action: Failed, Status: "4.4.1", Reply: "No host of nowhere.example could be reached for 5 days"},
	}
	delayed.Recipients = []Recipient{{Address: "jos\u00e9@example.com", Action: Delayed, Status: "4.4.1", Reply: "No host could be reached", At: at.Add(time.Minute), Until: at.Add(120 * time.Hour)}}
	good.Recipients = []Recipient{{Address: "bob@example.org", Action: Delivered}, {Address: "joe@example.com", Action: Relayed, Status: "2.1.5", Host: "mx.example.com", Reply: "250 2.1.5 ok", At: at}}
	good.Header = []byte("\r\n")
	global := base
	global.UTF8, global.To = true, "\u00e4da@example.org"
	global.Recipients = []Recipient{{Address: "jos\u00e9@example.com", Action: Failed, Status: "5.1.1"}, {Address: "bob@example.com", Action: Failed, Status: "5.1.1"}}
	global.Header = []byte("From: \u00e4da@example.org\r\nSubject: Pl\u00e4ne\r\n\r\n")
	whole := global
	whole.Body = []byte("hello\r\n")
	return map[string]Report{"failed": failed, "delayed": delayed, "good": good, "global": global, "globalwhole": whole}
}

func TestGolden(t *testing.T) {
	for name, r := range reports() {
		file := "testdata/" + name + ".golden"
		got := string(r.Message())
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is now\n%s", name, got)
		}
	}
}

// FuzzMessage: whatever a host or a message says stays in its line.
func FuzzMessage(f *testing.F) {
	f.Add("550 no", "Subject: x\r\n\r\n", "rfc822;a+2Bb", "a@b", false)
	f.Add("550 no", "Subject: \u00e4\r\n\r\n", "utf-8;a", "\u00e4@b", true)
	f.Fuzz(func(t *testing.T, reply, header, orcpt, address string, utf8 bool) {
		r := Report{Hostname: "mx.example.org", To: address, ID: "Q", Date: at, EnvID: orcpt, UTF8: utf8, Header: []byte(header),
			Recipients: []Recipient{{Address: address, ORCPT: orcpt, Action: Failed, Host: reply, Reply: reply}}}
		head, rest, _ := strings.Cut(string(r.Message()), "\r\n\r\n")
		for l := range strings.SplitSeq(head, "\r\n") {
			if strings.ContainsAny(l, "\r\n") || l == "" || l[0] != '\t' && !strings.Contains(l, ": ") {
				t.Errorf("header line %q", l)
			}
		}
		if !strings.HasSuffix(rest, "--=_Q_report--\r\n") {
			t.Error("no end")
		}
	})
}
