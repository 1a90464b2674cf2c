package tlsrpt_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile("testdata/"+name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%s", name, got)
	}
}

// sessions are two under a policy, and one without TLS.
func sessions() []tlsrpt.Event {
	sts := tlsrpt.Event{Domain: "example.net", Type: tlsrpt.STS, Policy: []string{"version: STSv1", "mode: enforce", "mx: *.example.net", "max_age: 86400"},
		Hosts: []string{"*.example.net"}, Host: "mx.example.net", HostName: "mx", Sending: "192.0.2.1", Receiving: "203.0.113.9"}
	expired, none := sts, sts
	expired.Failure, expired.Text = tlsrpt.CertificateExpired, "it ended \"yesterday\"\r\nX: y"
	none.Type, none.Policy, none.Hosts, none.Failure = tlsrpt.NoPolicy, nil, nil, tlsrpt.STARTTLSNotSupported
	return []tlsrpt.Event{sts, sts, expired, none}
}

func report(t *testing.T) tlsrpt.Report {
	t.Helper()
	var r tlsrpt.Results
	for _, e := range sessions() {
		r.Add(e)
		r.Add(e)
	}
	return tlsrpt.Report{Organization: "example.org", Range: tlsrpt.Day("2026-11-20").Range(), Contact: "postmaster@example.org",
		ID: "2026-11-20.example.net.0a1b@example.org", Policies: r.List}
}

// TestReport: the report of a day, as JSON and as mail, is what the RFC says, and is read again in every form.
func TestReport(t *testing.T) {
	r := report(t)
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", text)
	packed, err := tlsrpt.Pack(r)
	if err != nil {
		t.Fatal(err)
	}
	m := tlsrpt.Mail{From: "postmaster@example.org", To: "tls@example.net", Submitter: "example.org", Domain: "example.net", Report: r, Packed: packed,
		Date: time.Date(2026, 11, 21, 1, 2, 3, 0, time.UTC)}
	fixed := m
	fixed.Packed = bytes.Repeat([]byte("gzip differs between builds "), 4)
	golden(t, "mail.eml", fixed.Message())
	for what, data := range map[string][]byte{"JSON": text, "gzip": packed, "mail": m.Message()} {
		got, err := tlsrpt.Read(data)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s: %v, %+v", what, err, got)
		}
	}
	if total := r.Total(); total != (tlsrpt.Summary{Good: 4, Bad: 4}) {
		t.Errorf("%+v", total)
	}
}

// TestRead: reports of others.
func TestRead(t *testing.T) {
	text, err := os.ReadFile("testdata/rfc8460.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := tlsrpt.Read(text)
	if err != nil || r.Total() != (tlsrpt.Summary{Good: 5326, Bad: 303}) || len(r.Policies[0].Failures) != 3 || !slices.Equal(r.Policies[0].Policy.Hosts, []string{"*.mail.company-y.example"}) {
		t.Errorf("%v, %+v", err, r)
	}
	inMail := func(kind, coding string, body []byte) []byte {
		return fmt.Appendf(nil, "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\n"+
			"Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s\r\n--b--\r\n", kind, coding, body)
	}
	for what, c := range map[string]struct {
		data []byte
		good bool
	}{
		"plain JSON in a mail":      {inMail("application/tlsrpt+json", "8bit", text), true},
		"by its name":               {inMail("application/octet-stream; name=a!b!1!2.json", "8bit", text), true},
		"another attachment":        {inMail("application/pdf; name=a.json", "8bit", text), false},
		"JSON of something else":    {[]byte(`{"a": 1}`), false},
		"broken JSON":               {text[:len(text)/2], false},
		"a zip of a gigabyte":       {bomb(t), false},
		"nothing":                   {nil, false},
		"a boundary that is absent": {[]byte("Content-Type: multipart/mixed\r\n\r\n--\r\n\r\n"), false},
	} {
		_, err := tlsrpt.Read(c.data)
		if (err == nil) != c.good || err != nil && !errors.Is(err, tlsrpt.ErrNoReport) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// bomb is a small gzip of a large report.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	space := bytes.Repeat([]byte(" "), 1<<20)
	for range 64 {
		if _, err := z.Write(space); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestMerge: what nodes met apart is in sum what one would have met.
func TestMerge(t *testing.T) {
	var one, a, b tlsrpt.Results
	for i, e := range append(sessions(), sessions()...) {
		one.Add(e)
		if i < 3 {
			a.Add(e)
		} else {
			b.Add(e)
		}
	}
	data, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := tlsrpt.DecodeResults(data)
	if err != nil {
		t.Fatal(err)
	}
	a.Merge(again)
	if !reflect.DeepEqual(a, one) {
		t.Errorf("%+v\n%+v", a, one)
	}
}

// TestBounds: a domain that does its worst is counted right and fits its record.
func TestBounds(t *testing.T) {
	var r tlsrpt.Results
	for i := range 500 {
		long := fmt.Sprint(i, strings.Repeat("\"\\\x01<é", 200))
		lines := slices.Repeat([]string{long}, 40)
		r.Add(tlsrpt.Event{Domain: "example.net", Type: tlsrpt.TLSA, Policy: lines[:i%41], Hosts: lines[:1], Failure: tlsrpt.TLSAInvalid, Text: long, Host: long, HostName: long})
	}
	data, err := r.Encode()
	if err != nil || len(data) > 128<<10 {
		t.Errorf("%d octets, %v", len(data), err)
	}
	if total := (tlsrpt.Report{Policies: r.List}).Total(); total.Bad != 500 {
		t.Errorf("%+v", total)
	}
}

func TestParseRecord(t *testing.T) {
	for text, want := range map[string]string{
		"v=TLSRPTv1; rua=mailto:reports@example.com":                                        "[reports@example.com] []",
		"v=TLSRPTv1;rua=https://a.example/x?y=1, mailto:a%2Bb@example.com ; x=1;":           "[a+b@example.com] [https://a.example/x?y=1]",
		"other|v=TLSRPTv1; rua=MAILTO:a@b":                                                  "[a@b] []",
		"v=TLSRPTv1; rua=mailto:a@b|v=TLSRPTv1; rua=mailto:a@b":                             "none",
		"v=TLSRPTv1; rua=http://a.example/,ftp:x,mailto:@b,mailto:a@,mailto:a@b%0d%0aBcc:c": "none",
		"v=TLSRPTv10; rua=mailto:a@b":                                                       "none",
		"v=TLSRPTv1":                                                                        "none",
		"":                                                                                  "none",
	} {
		r, err := tlsrpt.ParseRecord(strings.Split(text, "|"))
		got := fmt.Sprint(r.Mail, " ", r.Web)
		if errors.Is(err, tlsrpt.ErrNoRecord) {
			got = "none"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"rfc8460.json", "report.json", "mail.eml"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: application/tlsrpt+json\r\n\r\n{\"report-id\":\"a\"}\r\n--b--\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := tlsrpt.Read(data)
		if err != nil {
			if !errors.Is(err, tlsrpt.ErrNoReport) {
				t.Errorf("%v", err)
			}
			return
		}
		text, err := r.Encode()
		if err != nil {
			t.Skip() // a year that JSON cannot tell
		}
		if again, err := tlsrpt.Decode(text); err != nil || again.Total() != r.Total() {
			t.Errorf("%v: %s", err, text)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=TLSRPTv1; rua=mailto:reports@example.com,https://a.example/x")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := tlsrpt.ParseRecord([]string{text})
		if err != nil {
			return
		}
		if n := len(r.Mail) + len(r.Web); n == 0 || n > 4 {
			t.Errorf("%+v", r)
		}
		for _, a := range r.Mail {
			if strings.ContainsAny(a, "\r\n<> ") {
				t.Errorf("%q", a)
			}
		}
	})
}
