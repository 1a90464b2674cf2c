package mtasts_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/mtasts"
)

// TestParseRecord: RFC 8461, section 3.1.
func TestParseRecord(t *testing.T) {
	for text, want := range map[string]string{
		"v=STSv1; id=20160831085700Z;":             "20160831085700Z",
		"v=STSv1;id=1":                             "1",
		"v=STSv1 ; x=y ; id=1 ;":                   "1",
		"v=STSv1; id=1|v=spf1 -all":                "1",
		"v=STSv1; id=1|v=STSv1; id=1":              "",
		"v=STSv1; id=1|v=STSv1; id=2":              "",
		"v=STSv1; id=":                             "",
		"v=STSv1; id=a-b":                          "",
		"v=STSv1; id=" + strings.Repeat("a", 33):   "",
		"v=STSv1; id=" + strings.Repeat("a", 32):   strings.Repeat("a", 32),
		"v=STSv1":                                  "",
		"v=STSv2; id=1":                            "",
		"v=STSv11; id=1":                           "",
		"V=STSv1; id=1":                            "",
		" v=STSv1; id=1":                           "",
		"":                                         "",
		"v=STSv1; id=1|v=STSv10; id=2|something":   "1",
		"v=STSv1; id=20160831085700Z; id=another;": "20160831085700Z",
	} {
		got, err := mtasts.ParseRecord(strings.Split(text, "|"))
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, mtasts.ErrNoRecord) {
			t.Errorf("%q: %q, %v, not %q", text, got, err, want)
		}
	}
}

// TestParsePolicy: RFC 8461, section 3.2.
func TestParsePolicy(t *testing.T) {
	many := "version: STSv1\nmode: enforce\nmax_age: 1\n" + strings.Repeat("mx: a.example\n", 1001)
	for text, want := range map[string]string{
		"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n": "enforce [mail.example.com *.example.net] 168h0m0s",
		"version: STSv1\nmode: testing\nmx: MAIL.Example.Com\nmax_age: 1":                                     "testing [mail.example.com] 1s",
		"version:STSv1\nmode:none\nmax_age:0":                                                                 "none [] 0s",
		"version: STSv1 \nmode : enforce\t\nmx:\ta.example\nmax_age: 1\nwhat: ever\n\n":                       "enforce [a.example] 1s",
		"version: STSv1\nmode: enforce\nmode: none\nmx: a.example\nmax_age: 5\nmax_age: 7":                    "enforce [a.example] 5s",
		"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 9999999999":                                   "enforce [a.example] 8766h0m0s",
		"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 99999999999":                                  "",
		"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -1":                                           "",
		"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: +1":                                           "",
		"version: STSv1\nmode: enforce\nmx: a.example\nmax_age:":                                              "",
		"version: STSv1\nmode: enforce\nmax_age: 1":                                                           "",
		"version: STSv1\nmx: a.example\nmax_age: 1":                                                           "",
		"version: STSv1\nmode: enforce\nmx: a.example":                                                        "",
		"version: STSv2\nmode: enforce\nmx: a.example\nmax_age: 1":                                            "",
		"version: STSv1\nmode: Enforce\nmx: a.example\nmax_age: 1":                                            "",
		"version: STSv1\nmode: enforce\nmx: *.*.example\nmax_age: 1":                                          "",
		"version: STSv1\nmode: enforce\nmx: *\nmax_age: 1":                                                    "",
		"version: STSv1\nmode: enforce\nmx: *.\nmax_age: 1":                                                   "",
		"version: STSv1\nmode: enforce\nmx: a..example\nmax_age: 1":                                           "",
		"version: STSv1\nmode: enforce\nmx: a.example.\nmax_age: 1":                                           "",
		"version: STSv1\nmode: enforce\nmx: *a.example\nmax_age: 1":                                           "",
		"<html>":                       "",
		"":                             "",
		"version: STSv1\n\nmode: none": "",
		many:                           "",
		"version: STSv1\nmode: none\nmax_age: 1\n" + strings.Repeat("x: y\n", 20000): "",
	} {
		p, err := mtasts.ParsePolicy([]byte(text))
		got := ""
		if err == nil {
			got = fmt.Sprintf("%s %v %v", p.Mode, p.Hosts, p.MaxAge)
		} else if !errors.Is(err, mtasts.ErrPolicy) {
			t.Errorf("%.200q: %v", text, err)
		}
		if got != want {
			t.Errorf("%.200q: %q (%v), not %q", text, got, err, want)
		}
	}
}

// TestAllows: a wildcard stands for one label.
func TestAllows(t *testing.T) {
	p := mtasts.Policy{Hosts: []string{"mail.example.com", "*.example.net"}}
	for host, want := range map[string]bool{
		"mail.example.com": true, "a.mail.example.com": false, "example.com": false, "a.example.net": true, "a.b.example.net": false,
		"example.net": false, ".example.net": false, "aexample.net": false, "": false, "mail.example.com.evil": false,
	} {
		if got := p.Allows(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	if (mtasts.Policy{}).Allows("a.example") {
		t.Error("a policy without hosts allows one")
	}
}

// TestKept: when a policy counts, and when it is fetched again.
func TestKept(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k, err := mtasts.Keep("1", []byte("version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 604800\n"), start)
	if err != nil {
		t.Fatal(err)
	}
	week := 7 * 24 * time.Hour
	for _, c := range []struct {
		after         time.Duration
		counts, stale bool
	}{{0, true, false}, {23 * time.Hour, true, false}, {24 * time.Hour, true, true}, {week - time.Second, true, true}, {week, false, true}, {31 * 24 * time.Hour, false, false}} {
		now := start.Add(c.after)
		if k.Counts(now) != c.counts || k.Stale(now) != c.stale {
			t.Errorf("after %v: %v, %v", c.after, k.Counts(now), k.Stale(now))
		}
	}
	if k.Touch(start.Add(time.Hour)) || !k.Touch(start.Add(25*time.Hour)) || k.Touch(start.Add(26*time.Hour)) {
		t.Error("use is not noted once a day")
	}
	if !k.Stale(start.Add(31 * 24 * time.Hour)) {
		t.Error("a policy that is used is not kept fresh")
	}
	if _, err := mtasts.Keep("1", []byte("x"), start); !errors.Is(err, mtasts.ErrPolicy) {
		t.Errorf("%v", err)
	}
	if got := mtasts.Lines([]byte("a: b\r\nc: d\n\n")); !slices.Equal(got, []string{"a: b", "c: d"}) {
		t.Errorf("%q", got)
	}
}

// FuzzRecord: any texts are an id in its bounds, or none.
func FuzzRecord(f *testing.F) {
	f.Add("v=STSv1; id=1", "v=spf1")
	f.Add("v=STSv1;;; id=", "v=STSv1\t;id=x;")
	f.Fuzz(func(t *testing.T, a, b string) {
		id, err := mtasts.ParseRecord([]string{a, b})
		if (err == nil) != (id != "") || len(id) > 32 {
			t.Errorf("%q, %v", id, err)
		}
	})
}

// FuzzPolicy: any text is a policy that holds what it must, or none.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte("version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"), "mail.example.com")
	f.Add([]byte("version: STSv1\nmode: none\nmax_age: 0"), "")
	f.Add([]byte(":\n:\n"), ".")
	f.Fuzz(func(t *testing.T, text []byte, host string) {
		p, err := mtasts.ParsePolicy(text)
		if err != nil {
			return
		}
		if p.MaxAge < 0 || p.MaxAge > mtasts.MaxAge || p.Mode != mtasts.None && len(p.Hosts) == 0 {
			t.Errorf("%+v", p)
		}
		if p.Allows(host) && (host == "" || strings.Count(host, ".") == 0 && !slices.Contains(p.Hosts, host)) {
			t.Errorf("%q is allowed by %q", host, p.Hosts)
		}
	})
}
