package dnsbl

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.99":                "99.2.0.192.list.example",
		"::ffff:192.0.2.99":         "99.2.0.192.list.example",
		"2001:db8:1:2:3:4:567:89ab": "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.list.example", // RFC 5782, section 2.4
	} {
		if got := Name(netip.MustParseAddr(addr), "list.example"); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct{ codes, answer, want string }{
		{"127.0.0.0/8=2", "127.0.0.2", "2 listed [127.0.0.2]"},
		{"127.0.0.2=3 127.0.0.0/24=1", "127.0.0.2", "3 listed [127.0.0.2]"},
		{"127.0.0.2=3 127.0.0.0/24=1", "127.0.0.9 127.0.0.2", "3 listed [127.0.0.2 127.0.0.9]"},
		{"127.0.0.2=3 127.0.0.0/24=1", "127.0.0.9", "1 listed [127.0.0.9]"},
		{"127.0.0.2=3", "127.0.0.9", "0 [127.0.0.9]"},
		{"127.0.0.10=0 127.0.0.0/24=4", "127.0.0.10", "0 listed [127.0.0.10]"},
		{"127.0.0.0/8=-5", "127.0.10.3", "-5 listed [127.0.10.3]"},
		{"&4=2 &8=1 &64=7", "127.0.0.12", "3 listed [127.0.0.12]"},
		{"&65536=2", "127.1.0.0", "2 listed [127.1.0.0]"},
		{"127.0.0.0/8=2", "127.255.255.254", "0 refused []"},
		{"127.0.0.0/8=2", "127.0.0.2 127.255.255.255", "0 refused []"},
		{"127.0.0.0/8=2", "192.0.2.1", "0 broken []"},
		{"127.0.0.0/8=2", "", "0 []"},
	} {
		codes, err := ParseCodes(c.codes)
		if err != nil {
			t.Fatal(err)
		}
		var given []netip.Addr
		for _, word := range strings.Fields(c.answer) {
			given = append(given, netip.MustParseAddr(word))
		}
		a := List{Zone: "list.example", Codes: codes}.Judge(given)
		got := fmt.Sprint(a.Score)
		for word, is := range map[string]bool{" listed": a.Listed, " refused": a.Refused, " broken": a.Broken} {
			if is {
				got += word
			}
		}
		if got += fmt.Sprintf(" %v", a.Codes); got != c.want || a.Zone != "list.example" {
			t.Errorf("%s answers %s: %s, want %s", c.codes, c.answer, got, c.want)
		}
	}
}

func TestParseCodesInvalid(t *testing.T) {
	for _, text := range []string{"", "127.0.0.2", "127.0.0.2=", "127.0.0.2=x", "127.0.0.2=NaN", "127.0.0.2=101", "127.0.0.2=-Inf", "=3", "192.0.2.1=3", "127.0.0.0/4=3",
		"::1=2", "127.255.255.254=3", "127.255.255.0/24=3", "&0=1", "&x=1", "&16777216=1", "127.0.0.2=1 127.0.0.2=2", strings.Repeat("127.0.0.2=1 ", MaxCodes+1)} {
		if codes, err := ParseCodes(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, %v", text, codes, err)
		}
	}
}

func FuzzParseCodes(f *testing.F) {
	f.Add("127.0.0.2=3 127.0.0.0/24=-1.5 &4=2")
	f.Fuzz(func(t *testing.T, text string) {
		codes, err := ParseCodes(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		again, err := ParseCodes(FormatCodes(codes))
		if err != nil || !reflect.DeepEqual(codes, again) {
			t.Fatalf("%v became %v, %v", codes, again, err)
		}
	})
}
