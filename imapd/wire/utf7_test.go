package wire

import (
	"testing"
	"unicode/utf8"
)

func TestUTF7(t *testing.T) {
	for utf8, utf7 := range map[string]string{
		"":                   "",
		"INBOX":              "INBOX",
		"A&B":                "A&-B",
		"~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		"Entwürfe":           "Entw&APw-rfe",
		"😀":                  "&2D3eAA-",
		"\t":                 "&AAk-",
	} {
		if got := EncodeUTF7(utf8); got != utf7 {
			t.Errorf("encoding %q gave %q, not %q", utf8, got, utf7)
		}
		if got, err := DecodeUTF7(utf7); got != utf8 || err != nil {
			t.Errorf("decoding %q gave %q, %v", utf7, got, err)
		}
	}
	for _, bad := range []string{"&", "&Jjo", "&AGE-", "&U,BTFw-&ZeVnLIqe-", "&2D0-", "&AA-", "ü", "&=-", "&AAA-", "a\x00", "&ImIDkQAuB-"} {
		if got, err := DecodeUTF7(bad); err == nil {
			t.Errorf("%q was decoded as %q", bad, got)
		}
	}
}

func FuzzUTF7(f *testing.F) {
	for _, s := range []string{"INBOX", "&U,BTFw-", "&-", "&2D3eAA-", "Entw&APw-rfe", "台北", "&AGE-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := DecodeUTF7(s); err == nil {
			if again := EncodeUTF7(name); again != s {
				t.Fatalf("%q is %q, which is %q", s, name, again)
			}
			if !utf8.ValidString(name) {
				t.Fatalf("%q gave %q, which is not UTF-8", s, name)
			}
		}
		for i := range len(s) {
			if s[i] == 0 {
				return
			}
		}
		if utf8.ValidString(s) {
			if again, err := DecodeUTF7(EncodeUTF7(s)); err != nil || again != s {
				t.Fatalf("%q went over the wire as %q and came back as %q: %v", s, EncodeUTF7(s), again, err)
			}
		}
	})
}
