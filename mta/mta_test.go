package mta

import (
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// TestTraceGolden holds the octets of trace fields.
func TestTraceGolden(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 5, 7, 0, time.FixedZone("", 3600))
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::1%eth0")
	var b []byte
	b = append(b, ReturnPath("carol@example.com")...)
	b = append(b, ReturnPath("")...)
	b = append(b, ReturnPath("a\r\nX-Evil: 1@example.com")...)
	for _, r := range []Received{
		{Helo: "mail.example.com", Remote: v4, By: "mx.example.org", With: "ESMTP", ID: "Q1", Time: at},
		{Helo: "mail.example.com", Remote: v6, By: "mx.example.org", With: "ESMTPS", ID: "Q1", For: "alice@example.org",
			TLS: "TLS1.3 TLS_AES_128_GCM_SHA256", Time: at},
		{Helo: "[192.0.2.7]", Remote: netip.MustParseAddr("::ffff:192.0.2.7"), By: "mx.example.org", With: "SMTP", Time: at},
		{Helo: "evil) (x\r\ny bücher.example", Remote: v4, By: "mx.example.org", With: "ESMTP", ID: "Q1", Time: at},
		{By: "mx.example.org", With: "ESMTPSA", ID: "Q1", For: strings.Repeat("x", 80) + "@example.org", Time: at},
		{Remote: v4, By: "mx.example.org", With: "LMTP", ID: "Q1", TLS: `(\`, Time: at},
	} {
		b = append(b, r.Field()...)
	}
	const file = "testdata/trace.golden"
	if *update {
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(b) {
		t.Errorf("the trace fields are now\n%s", b)
	}
}

func TestWith(t *testing.T) {
	for _, c := range []struct {
		protocol        Protocol
		tls, auth, utf8 bool
		want            string
	}{
		{SMTP, true, false, false, "SMTP"},
		{ESMTP, false, false, false, "ESMTP"},
		{ESMTP, true, false, false, "ESMTPS"},
		{ESMTP, false, true, false, "ESMTPA"},
		{ESMTP, true, true, false, "ESMTPSA"},
		{ESMTP, true, true, true, "UTF8SMTPSA"},
		{ESMTP, false, false, true, "UTF8SMTP"},
		{LMTP, false, false, false, "LMTP"},
		{LMTP, true, false, true, "UTF8LMTPS"},
	} {
		if got := With(c.protocol, c.tls, c.auth, c.utf8); got != c.want {
			t.Errorf("With(%s, %v, %v, %v) = %s, want %s", c.protocol, c.tls, c.auth, c.utf8, got, c.want)
		}
	}
}

func TestReply(t *testing.T) {
	for _, c := range []struct {
		reply       *Reply
		wire, error string
	}{
		{Replyf(250, OK, "done"), "250 2.0.0 done\r\n", "250 2.0.0 done"},
		{Replyf(220, "", "hello"), "220 hello\r\n", "220 hello"},
		{Replyf(334, "", ""), "334 \r\n", "334 "},
		{Replyf(550, BadMailbox, "no\nsuch user"), "550-5.1.1 no\r\n550 5.1.1 such user\r\n", "550 5.1.1 no such user"},
		{Replyf(550, BadMailbox, "<a\r\x00\x7fb>"), "550 5.1.1 <a   b>\r\n", "550 5.1.1 <a\r\x00\x7fb>"},
	} {
		if got := string(c.reply.AppendTo(nil)); got != c.wire {
			t.Errorf("AppendTo gives %q, want %q", got, c.wire)
		}
		if got := c.reply.Error(); got != c.error {
			t.Errorf("Error gives %q, want %q", got, c.error)
		}
	}
	for code, want := range map[int][3]bool{250: {true, false, false}, 354: {true, false, false}, 451: {false, true, false}, 550: {false, false, true}} {
		r := Replyf(code, "", "")
		if got := [3]bool{r.Positive(), r.Temporary(), r.Permanent()}; got != want {
			t.Errorf("%d is %v, want %v", code, got, want)
		}
	}
}
