package srs_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/srs"
)

func secrets() [][]byte { return [][]byte{[]byte("the newer one"), []byte("the older one")} }

func TestRewrite(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ sender, begins, back string }{
		{"ann@example.net", "SRS0=", "ann@example.net"},
		{"Ann.Lee+x@EXAMPLE.net", "SRS0=", "Ann.Lee+x@example.net"},
		{"a=b=c@example.net", "SRS0=", "a=b=c@example.net"},
		{`"a b"@example.net`, `"SRS0=`, `"a b"@example.net`},
		{"SRS0=HHH=TT=example.com=ann@example.net", "SRS1=", "SRS0=HHH=TT=example.com=ann@example.net"},
		{"srs0+HHH=TT=example.com=ann@example.net", "SRS1=", "SRS0+HHH=TT=example.com=ann@example.net"},
		{"SRS1=HHH=example.net==XX=TT=example.com=ann@third.example", "SRS1=", "SRS0=XX=TT=example.com=ann@example.net"},
		{"SRS1=broken@example.net", "SRS0=", "SRS1=broken@example.net"},
		{"SRS0x@example.net", "SRS0=", "SRS0x@example.net"},
	} {
		for _, secret := range secrets() {
			text, err := srs.Rewrite(c.sender, "example.org", secret, now)
			if err != nil || !strings.HasPrefix(text, c.begins) || !strings.HasSuffix(text, "@example.org") || !srs.Rewritten(text) {
				t.Fatalf("%s became %s, %v", c.sender, text, err)
			}
			for days, good := range map[int]bool{0: true, srs.Life: true, -1: true, srs.Life + 1: false, -2: false} {
				if good = good || c.begins == "SRS1="; !good && strings.Contains(c.begins, "SRS1") {
					continue
				}
				back, err := srs.Restore(text, secrets(), now.AddDate(0, 0, days))
				if good != (err == nil) || good && back != c.back || !good && !errors.Is(err, srs.ErrAddress) {
					t.Errorf("%s of %s after %d days: %s, %v", text, c.sender, days, back, err)
				}
			}
		}
	}
}

// TestForm: addresses of before are known after an upgrade.
func TestForm(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for sender, want := range map[string]string{
		"Ann@far.example":                         "SRS0=45LC2M=JJ=far.example=Ann@example.org",
		"SRS0=HHH=TT=example.com=ann@far.example": "SRS1=DPI7BH=far.example==HHH=TT=example.com=ann@example.org",
	} {
		if got, err := srs.Rewrite(sender, "example.org", []byte("a secret"), now); err != nil || got != want {
			t.Errorf("%s became %s, %v; want %s", sender, got, err, want)
		}
	}
}

// TestCase: an address comes back also where its case was changed on the way.
func TestCase(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	text, err := srs.Rewrite("ann@example.net", "example.org", secrets()[0], now)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := srs.Restore(strings.ToLower(text), secrets(), now); err != nil || back != "ann@example.net" {
		t.Errorf("%s, %v", back, err)
	}
}

func TestRefused(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, sender := range []string{"no address", "ann@[192.0.2.1]", strings.Repeat("a", 300) + "@example.net"} {
		if text, err := srs.Rewrite(sender, "example.org", secrets()[0], now); !errors.Is(err, srs.ErrSender) {
			t.Errorf("%q became %q, %v", sender, text, err)
		}
	}
	if text, err := srs.Rewrite("", "example.org", secrets()[0], now); text != "" || err != nil {
		t.Errorf("the null sender became %q, %v", text, err)
	}
	good, err := srs.Rewrite("ann@example.net", "example.org", secrets()[0], now)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "ann@example.org", strings.Replace(good, "ann", "bob", 1), strings.Replace(good, "example.net", "example.com", 1),
		"SRS0=@example.org", "SRS0=AAAAAA=AA@example.org", "SRS1=AAAAAA=example.net==x@example.org", "SRS1=@example.org", "SRS0=AAAAAA=A!=example.net=ann@example.org",
		"SRS0==" + good[len("SRS0=AAAAAA="):]} {
		if back, err := srs.Restore(text, secrets(), now); !errors.Is(err, srs.ErrAddress) {
			t.Errorf("%q is taken for %q, %v", text, back, err)
		}
	}
	if _, err := srs.Restore(good, nil, now); !errors.Is(err, srs.ErrAddress) {
		t.Errorf("without secrets: %v", err)
	}
}

func FuzzRestore(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	for _, s := range []string{"ann@example.net", "SRS0=HHH=TT=example.com=ann@example.net", "SRS1=HHH=example.net==XX=TT=example.com=ann@third.example", `"=@="@example.net`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = srs.Restore(text, secrets(), now)
		once, err := srs.Rewrite(text, "example.org", secrets()[0], now)
		if err != nil || once == "" {
			return
		}
		back, err := srs.Restore(once, secrets(), now)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, once, err)
		}
		twice, err := srs.Rewrite(back, "example.org", secrets()[0], now)
		if err != nil || twice != once {
			t.Errorf("%q became %q, that %q, and that %q, %v", text, once, back, twice, err)
		}
	})
}
