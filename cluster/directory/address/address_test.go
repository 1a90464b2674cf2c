package address

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, local, domain, back string }{
		{"john@example.com", "john", "example.com", "john@example.com"},
		{"John.Doe@EXAMPLE.com.", "John.Doe", "example.com", "John.Doe@example.com"},
		{`"john"@example.com`, "john", "example.com", "john@example.com"},
		{`"john doe"@example.com`, "john doe", "example.com", `"john doe"@example.com`},
		{`"a@b\"c\\"@example.com`, `a@b"c\`, "example.com", `"a@b\"c\\"@example.com`},
		{`"\a"@example.com`, "a", "example.com", "a@example.com"},
		{`".john"@example.com`, ".john", "example.com", `".john"@example.com`},
		{"a+b=c/d!#$%&'*-?^_`{|}~@x", "a+b=c/d!#$%&'*-?^_`{|}~", "x", "a+b=c/d!#$%&'*-?^_`{|}~@x"},
		{"rené@bücher.example", "rené", "xn--bcher-kva.example", "rené@xn--bcher-kva.example"},
		{"rene\u0301@XN--BCHER-KVA.example", "ren\u00e9", "xn--bcher-kva.example", "rené@xn--bcher-kva.example"},
		{"\u212aing@example.com", "King", "example.com", "King@example.com"},
		{"a@[192.0.2.1]", "a", "[192.0.2.1]", "a@[192.0.2.1]"},
		{"a@[ipv6:2001:DB8::1]", "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
		{"a@b@c", "", "", ""},
	} {
		a, err := Parse(c.text)
		if c.back == "" {
			if !errors.Is(err, ErrSyntax) {
				t.Errorf("Parse(%q) = %v, %v; want ErrSyntax", c.text, a, err)
			}
			continue
		}
		if err != nil || a.Local != c.local || a.Domain != c.domain || a.String() != c.back {
			t.Errorf("Parse(%q) = %+v, %v (%s); want %q %q (%s)", c.text, a, err, a, c.local, c.domain, c.back)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "@", "a", "a@", "@b", "a b@c", ".a@b", "a.@b", "a..b@c", `"a@b`, `""@b`, `"a"b@c`, "a\x00@b", "\"a\nb\"@c", "\"a\u0085\"@c",
		"a@b..c", "a@-b", "a@b-", "a@b_c", "a@.b", "a@" + strings.Repeat("x", 64), "a@[1.2.3]", "a@[::1]", "a@[IPv6:1.2.3.4]", "a@[192.0.2.1",
		"a@[fe80::1%eth0]", "\xff@b", "a@\xff", "<a@b>", "a,b@c", "(x)a@b", "a@xn--a", `"a\`, strings.Repeat("a", 400) + "@b", "a\u00a0b@c",
	} {
		if a, err := Parse(text); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q) = %+v, %v; want ErrSyntax", text, a, err)
		}
	}
}

func TestFoldAndSplit(t *testing.T) {
	a, err := Parse("JoHn+News+X@Example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Fold().String(); got != "john+news+x@example.com" {
		t.Errorf("Fold = %s", got)
	}
	base, detail, ok := a.Split("+-")
	if !ok || base.String() != "JoHn@example.com" || detail != "News+X" {
		t.Errorf("Split = %v, %q, %v", base, detail, ok)
	}
	for _, whole := range []string{"+x@y", "x@y"} {
		a, _ := Parse(whole)
		if _, _, ok := a.Split("+"); ok {
			t.Errorf("Split(%s) found a base", whole)
		}
	}
	if _, _, ok := a.Split(""); ok {
		t.Error("Split without delimiters found a base")
	}
	if got := (Address{Local: "É", Domain: "xn--bcher-kva.example"}).Fold().Display(); got != "É@bücher.example" {
		t.Errorf("Display = %s", got)
	}
}

// FuzzParse holds that reading back what was written gives the same address, that folding is
// stable, and that nothing is let through that could end an SMTP line or a key.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a@b", `"a b"@c.d`, "rené@bücher.example", "a@[IPv6:::1]", `"\"\\"@x`, "\u212a@x", "a+b@xn--bcher-kva"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("Parse(%q): %v is not ErrSyntax", text, err)
			}
			return
		}
		if strings.ContainsAny(a.Local+a.Domain, "\x00\r\n") || a.Local == "" || a.Domain == "" {
			t.Fatalf("Parse(%q) = %+q", text, a)
		}
		for _, x := range []Address{a, a.Fold()} {
			y, err := Parse(x.String())
			if err != nil || y != x {
				t.Fatalf("Parse(%q) = %+q, writes as %q, reads back as %+q, %v", text, x, x.String(), y, err)
			}
		}
		if a.Fold() != a.Fold().Fold() {
			t.Fatalf("folding %+q is not stable", a)
		}
		if y, err := Parse(a.Display()); err == nil && y.Local != a.Local {
			t.Fatalf("%+q displays as %q, which reads as %+q", a, a.Display(), y)
		}
	})
}
