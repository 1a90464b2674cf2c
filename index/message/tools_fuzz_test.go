package message

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/index/indexpb"
)

func FuzzDecodeHeader(f *testing.F) {
	for _, s := range []string{
		"plain", "", "=?utf-8?q?=C3=A4?=", "=?utf-8?b?w6Q=?= =?utf-8?b?w6Q=?=", "=?utf-8?q?=C3?= =?utf-8?q?=A4?=",
		"=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?=", "\xe4\xf6", "=?x", "=?utf-8*en?Q?a_b?=x", "a\r\n b", "[Re: x] Fwd: (fwd)",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := DecodeHeader(raw)
		if !utf8.ValidString(s) {
			t.Fatalf("%q is not UTF-8", s)
		}
		if !bytes.Contains(raw, []byte("=?")) && utf8.Valid(raw) && s != string(unfold(raw)) {
			t.Fatalf("%q became %q", raw, s)
		}
		base, _ := BaseSubject(raw)
		if again, _ := BaseSubject([]byte(base)); !strings.Contains(base, "=?") && again != base {
			t.Fatalf("base subject %q of %q has base subject %q", base, raw, again)
		}
	})
}

func FuzzAddressList(f *testing.F) {
	for _, s := range []string{
		"a@b", "a <b@c>", "\"q\\\"\" <b@c> (d)", "g: a@b, c;", "<@r,@s:a@b>", "(", "\"", "<a@b", "a@[1.2.3.4]", ",;:,", "g:h:;i",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		open := false
		kept := 0
		for _, a := range Addresses(value) {
			kept += len(a.Name) + len(a.Mailbox)
			switch {
			case a.Host == nil && a.Mailbox != nil:
				if open || a.Name != nil {
					t.Fatalf("group %q within a group", a.Mailbox)
				}
				open = true
			case a.Mailbox == nil:
				if !open || a.Host != nil {
					t.Fatal("a group ends that never began")
				}
				open = false
			case len(a.Mailbox) == 0 || len(a.Host) == 0:
				t.Fatalf("address %q @ %q", a.Mailbox, a.Host)
			}
		}
		if open {
			t.Fatal("a group does not end")
		}
		if kept > (len(value)+1)*(2+len(missingMailbox)) {
			t.Fatalf("%d octets out of %d", kept, len(value))
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, s := range []string{
		"Tue, 02 Jan 2024 16:04:03 +0100", "2 Jan 24 16:04 EST", "Tue Jan  2 16:04:03 2024", "02-Jan-2024 16:04:03",
		"31 Feb 2024 00:00 Z", "1 Jan 2024 24:00:00", "1 jan 99999 1:2:3:4", "30 Jun 1997 23:59:60 GMT (leap)",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		d, ok := ParseDate(value)
		if ok == d.IsZero() {
			t.Fatalf("%v, %v", d, ok)
		}
		if !ok {
			return
		}
		again, ok := ParseDate([]byte(d.Format("Mon, 2 Jan 2006 15:04:05 -0700")))
		if _, offset := d.Zone(); !ok || offset%60 != 0 || !again.Equal(d) {
			t.Fatalf("%v is written and read as %v", d, again)
		}
	})
}

// FuzzDecodeText reads bodies through every converter, whole and one octet at a time.
func FuzzDecodeText(f *testing.F) {
	for _, s := range []string{
		"plain", "=C3=A4=\r\n \t\r\nx=", "w6Q=\r\nw6Q", "<p>a&amp;b</p><script>x</script>", "<!-- - -->&#x41;&", "\xe4\xc3", "a<b \xf0\x9f",
	} {
		for kind := range byte(24) {
			f.Add([]byte(s), kind)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, kind byte) {
		part := &indexpb.Part{Type: []byte("text"), Subtype: []byte("html")}
		part.Encoding = []byte([]string{"", "base64", "quoted-printable"}[kind%3])
		charset := []string{"", "utf-8", "iso-2022-jp", "windows-1251", "gb18030", "utf-16", "what", "big5"}[kind/3%8]
		part.Params = []*indexpb.Param{{Name: []byte("charset"), Value: []byte(charset)}}
		whole, err := io.ReadAll(DecodeText(part, bytes.NewReader(body), TextOnly))
		if err != nil || !utf8.Valid(whole) {
			t.Fatalf("%q, %v", whole, err)
		}
		split, err := io.ReadAll(DecodeText(part, iotest.OneByteReader(bytes.NewReader(body)), TextOnly))
		if err != nil || !bytes.Equal(split, whole) {
			t.Fatalf("octet by octet %q, %v; at once %q", split, err, whole)
		}
	})
}

func FuzzHeaderFields(f *testing.F) {
	for _, s := range []string{"A: b\r\n c\r\nB: d\r\n\r\n", "A: b", "From x\nA:b\n\nrest", ": x\n", "a\tb: c\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		rest := header
		for name, field := range Fields(header) {
			i := bytes.Index(rest, field)
			if i < 0 || len(name) == 0 || len(field) <= len(name) {
				t.Fatalf("field %q %q is not next in %q", name, field, rest)
			}
			rest = rest[i+len(field):]
		}
		all, none := HeaderFields(header, nil, true), HeaderFields(header, nil, false)
		if string(none) != "\r\n" || !bytes.HasSuffix(all, []byte("\r\n")) || len(all) > len(header)+4 {
			t.Fatalf("%q of %q, and %q", all, header, none)
		}
	})
}
