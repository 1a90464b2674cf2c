package message

import (
	"encoding/base64"
	"errors"
	"io"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestParseDate(t *testing.T) {
	for value, want := range map[string]string{
		"Tue, 02 Jan 2024 16:04:03 +0100":            "2024-01-02T16:04:03+01:00",
		"Tue, 2 Jan 2024 16:04:03 -0000":             "2024-01-02T16:04:03Z",
		"2 Jan 24 16:04 EST":                         "2024-01-02T16:04:00-05:00",
		"2 Jan 99 16:04 (comment) pdt (PDT)":         "1999-01-02T16:04:00-07:00",
		"2 Jan 103 16:04:03 GMT":                     "2003-01-02T16:04:03Z",
		"Tue,2 January 2024 16 : 04 : 03 +0100":      "",
		"tue 2 january 2024 16:04:03 A":              "2024-01-02T16:04:03Z",
		"Tue Jan  2 16:04:03 2024":                   "2024-01-02T16:04:03Z",
		"02-Jan-2024 16:04:03 +0530":                 "2024-01-02T16:04:03+05:30",
		"Tue, 2 Jan 2024 16:04:03.123 +0100":         "2024-01-02T16:04:03+01:00",
		"Tue, 2 Jan 2024 16:04:03 GMT+02:00":         "2024-01-02T16:04:03+02:00",
		"Tue, 2 Jan 2024 16:04:03 +0100 +0200":       "2024-01-02T16:04:03+01:00",
		"Tue, 2 Jan 2024 16:04:03 Romance Std. Time": "2024-01-02T16:04:03Z",
		"30 Jun 1997 23:59:60 GMT":                   "1997-07-01T00:00:00Z",
		"29 Feb 2024 00:00 Z":                        "2024-02-29T00:00:00Z",
		"29 Feb 2023 00:00 Z":                        "",
		"0 Jan 2024 00:00 Z":                         "",
		"1 Jan 2024 24:00 Z":                         "",
		"1 Jan 2024":                                 "",
		"2024-01-02T16:04:03Z":                       "",
		"yesterday":                                  "",
		"":                                           "",
	} {
		got, ok := ParseDate([]byte(value))
		if s := got.Format(time.RFC3339); ok != (want != "") || ok && s != want {
			t.Errorf("%q: %s, %v; want %q", value, s, ok, want)
		}
	}
}

func TestBaseSubject(t *testing.T) {
	for _, c := range []struct {
		raw, want string
		reply     bool
	}{
		{"Hello", "Hello", false},
		{"Re: Hello", "Hello", true},
		{"re  [1]: FWD : fw: Hello (fwd) (FWD) ", "Hello", true},
		{"[list] Re: [list] Hello", "Hello", true},
		{"[list] Hello", "Hello", false},
		{"[Fwd: Re: Hello]", "Hello", true},
		{"[only]", "[only]", false},
		{"Re:", "", true},
		{"Regarding: this", "Regarding: this", false},
		{"=?utf-8?q?Re:_Caf=C3=A9?=\r\n =?utf-8?q?_x?=", "Café x", true},
		{"", "", false},
	} {
		if got, reply := BaseSubject([]byte(c.raw)); got != c.want || reply != c.reply {
			t.Errorf("%q: %q, %v; want %q, %v", c.raw, got, reply, c.want, c.reply)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	got := MessageIDs([]byte("junk <a@b>\r\n\t<c\r\n @d>, x <open <e@f> <"))
	if want := []string{"<a@b>", "<c@d>", "<e@f>"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestHeaderFields(t *testing.T) {
	header := []byte("Received: one\r\n\ttwo\r\nSubject: x\r\nreceived : three\r\nTo: y\r\n\r\nFrom: body\r\n")
	names := []string{"RECEIVED", "from"}
	if got, want := string(HeaderFields(header, names, false)), "Received: one\r\n\ttwo\r\nreceived : three\r\n\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := string(HeaderFields(header, names, true)), "Subject: x\r\nTo: y\r\n\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := string(HeaderFields([]byte("To: cut"), []string{"to"}, false)), "To: cut\r\n\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, ok := FieldValue(header, "RECEIVED"); !ok || string(got) != "one\ttwo" {
		t.Errorf("%q, %v", got, ok)
	}
	if got, ok := FieldValue(header, "From"); ok {
		t.Errorf("found %q", got)
	}
}

func TestFindPart(t *testing.T) {
	structure := parse(Limits{}, []byte(`Content-Type: multipart/mixed; boundary=a

--a

text
--a
Content-Type: message/rfc822

Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/one
--b
Content-Type: message/rfc822

Content-Type: text/two

--a
Content-Type: message/rfc822

Content-Type: message/rfc822

Content-Type: text/three

`), 0).Structure
	for _, c := range []struct {
		path []int
		want string
	}{
		{nil, "multipart/mixed"},
		{[]int{1}, "text/plain"},
		{[]int{1, 1}, ""},
		{[]int{0}, ""},
		{[]int{4}, ""},
		{[]int{2}, "message/rfc822"},
		{[]int{2, 1}, "text/one"},
		{[]int{2, 2}, "message/rfc822"},
		{[]int{2, 2, 1}, "text/two"},
		{[]int{2, 2, 2}, ""},
		{[]int{3, 1}, "message/rfc822"},
		{[]int{3, 1, 1}, "text/three"},
		{[]int{3, 1, 1, 1}, ""},
	} {
		got := ""
		if part, ok := FindPart(structure, c.path); ok {
			got = string(part.Type) + "/" + string(part.Subtype)
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.path, got, c.want)
		}
	}
	single := parse(Limits{}, []byte("Subject: x\n\ny"), 0).Structure
	if part, ok := FindPart(single, []int{1}); !ok || part != single {
		t.Error("a message that is no multipart has no part 1")
	}
}

func TestDecodeTransfer(t *testing.T) {
	for _, c := range []struct{ encoding, body, want string }{
		{"BASE64", "YWJj\r\nZGVm", "abcdef"},
		{"base64", "YWI=YWI=", "abab"},
		{"base64", "Y W\x00J!j", "abc"},
		{"base64", "YW", "a"},
		{"base64", "Y", ""},
		{"base64", "-_-_", "\xfb\xff\xbf"},
		{"quoted-printable", "a=3Db=3d", "a=b="},
		{"quoted-printable", "soft=\r\nbreak= \t\r\nagain=\nand", "softbreakagainand"},
		{"quoted-printable", "trailing \t\r\nspace  ", "trailing\r\nspace  "},
		{"quoted-printable", "=4 =zz ==41 =4=41", "=4 =zz =A =4A"},
		{"quoted-printable", "end=", "end"},
		{"quoted-printable", "end=4", "end=4"},
		{"quoted-printable", "cr\rcr=\rx", "cr\rcr=\rx"},
		{"x-other", "=41", "=41"},
	} {
		got, err := io.ReadAll(DecodeTransfer(c.encoding, strings.NewReader(c.body)))
		if err != nil || string(got) != c.want {
			t.Errorf("%s %q: %q, %v; want %q", c.encoding, c.body, got, err, c.want)
		}
	}
}

// TestDecodeTransferAgainstEncoders reads what the standard library writes.
func TestDecodeTransferAgainstEncoders(t *testing.T) {
	var raw []byte
	for i := range 10_000 {
		raw = append(raw, byte(i*i>>3))
	}
	got, err := io.ReadAll(DecodeTransfer("base64", strings.NewReader(base64.StdEncoding.EncodeToString(raw))))
	if err != nil || string(got) != string(raw) {
		t.Errorf("base64 differs: %v", err)
	}
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	w.Binary = true
	w.Write(raw)
	w.Close()
	got, err = io.ReadAll(DecodeTransfer("quoted-printable", strings.NewReader(b.String())))
	if err != nil || string(got) != string(raw) {
		t.Errorf("quoted-printable differs: %v", err)
	}
}

func TestReaderErrorComesLast(t *testing.T) {
	broken := errors.New("disk gone")
	r := DecodeTransfer("base64", io.MultiReader(strings.NewReader("YWJj"), iotest.ErrReader(broken)))
	got, err := io.ReadAll(r)
	if string(got) != "abc" || !errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestKnown(t *testing.T) {
	for name, want := range map[string]bool{
		"": true, "US-ASCII": true, "utf-8": true, "ISO-8859-15": true, "cp1252": true, "gb18030": true, "x-nothing": false,
	} {
		if KnownCharset(name) != want {
			t.Errorf("charset %q: %v", name, !want)
		}
	}
	for name, want := range map[string]bool{"": true, "Base64": true, "BINARY": true, "x-uuencode": false} {
		if KnownEncoding(name) != want {
			t.Errorf("encoding %q: %v", name, !want)
		}
	}
}
