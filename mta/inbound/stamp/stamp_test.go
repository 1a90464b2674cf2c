package stamp_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/inbound/stamp"
)

var rules = stamp.Rules{Servers: []string{"mx1.example.org", "example.org"}, Spam: true}

func lines(s ...string) string { return strings.Join(s, "\r\n") + "\r\n" }

func TestClean(t *testing.T) {
	for name, c := range map[string]struct {
		in, out string
		removed []string
	}{
		"nothing to take out": {lines("From: a@b", "Subject: x", ""), lines("From: a@b", "Subject: x", ""), nil},
		"another's results stay": {lines("Authentication-Results: mx.example.net; spf=pass", "From: a@b", ""),
			lines("Authentication-Results: mx.example.net; spf=pass", "From: a@b", ""), nil},
		"our name, in other letters, folded and quoted": {
			lines("Received: x", "authentication-results: (hi\\) there)", "\t\"MX1.example.org\" 1; spf=pass", "  smtp.mailfrom=x", "AUTHENTICATION-RESULTS : example.org; none", "From: a@b", ""),
			lines("Received: x", "From: a@b", ""), []string{"authentication-results", "AUTHENTICATION-RESULTS"}},
		"a name that cannot be read": {lines("Authentication-Results: (never ends; spf=pass", "From: a@b", ""), lines("From: a@b", ""), []string{"Authentication-Results"}},
		"a path that lies":           {lines("Return-Path: <boss@example.org>", "From: a@b", ""), lines("From: a@b", ""), []string{"Return-Path"}},
		"what others thought":        {lines("X-Spam-Flag: NO", "X-Spam-Status: No,", " score=1", "From: a@b"), lines("From: a@b"), []string{"X-Spam-Flag", "X-Spam-Status"}},
		"the body is not looked at":  {lines("From: a@b", "", "Return-Path: x"), lines("From: a@b", "", "Return-Path: x"), nil},
		"no header":                  {lines("", "Return-Path: x"), lines("", "Return-Path: x"), nil},
		"only that":                  {lines("Return-Path: x"), "", []string{"Return-Path"}},
		"cut short":                  {"From: a@b\r\nReturn-Path: x", "From: a@b\r\n", []string{"Return-Path"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := []byte(c.in)
			kept, removed := rules.Clean(in)
			if string(kept) != c.out || !slices.Equal(removed, c.removed) {
				t.Errorf("kept %q, removed %v", kept, removed)
			}
			if string(in) != c.in {
				t.Errorf("the header that was given is now %q", in)
			}
		})
	}
}

func TestSpam(t *testing.T) {
	if got, want := string(stamp.Spam(true, 7.25, 5, []string{"spf:fail", "rspamd:main:A B,\r\nX"})),
		"X-Spam-Flag: YES\r\nX-Spam-Score: 7.2\r\nX-Spam-Status: Yes, score=7.2 required=5.0\r\n\ttests=spf:fail,rspamd:main:A_B___X\r\n"; got != want {
		t.Errorf("%q", got)
	}
	many := stamp.Spam(false, -1, 0, slices.Repeat([]string{strings.Repeat("x", 70)}, 50))
	for line := range bytes.Lines(many) {
		if len(line) > 78 || !bytes.HasSuffix(line, []byte("\r\n")) {
			t.Errorf("the line %q", line)
		}
	}
	if got := bytes.Count(many, []byte("xxxx,")); got > 20 {
		t.Errorf("%d tests", got)
	}
}

func BenchmarkClean(b *testing.B) {
	header := []byte(lines("Received: from mx.example.net ([192.0.2.1])", "\tby mx1.example.org; Sat, 21 Nov 2026 10:00:00 +0000", "DKIM-Signature: v=1; a=rsa-sha256;",
		"\td=example.net; b=x", "Authentication-Results: mx.example.net; spf=pass", "From: Bob <bob@example.net>", "To: Ada <ada@example.org>", "Subject: minutes",
		"Date: Sat, 21 Nov 2026 10:00:00 +0000", "Message-ID: <1@example.net>", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", ""))
	b.ReportAllocs()
	for b.Loop() {
		rules.Clean(header)
	}
}

func FuzzClean(f *testing.F) {
	f.Add([]byte(lines("Return-Path: x", "From: a@b", " c", "Authentication-Results: \"example.org", "", "body")))
	f.Add([]byte(lines("Authentication-Results: (a(b\\)) example.org;")))
	f.Fuzz(func(t *testing.T, header []byte) {
		kept, removed := rules.Clean(header)
		if len(removed) == 0 && !bytes.Equal(kept, header) || len(removed) > 0 && len(kept) >= len(header) {
			t.Errorf("kept %q of %q, removed %v", kept, header, removed)
		}
		if again, more := rules.Clean(kept); len(more) > 0 && !bytes.HasPrefix(kept, []byte(" ")) {
			t.Errorf("%q is cleaned again to %q", kept, again)
		}
	})
}
