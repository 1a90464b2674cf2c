package mailto_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/mta/sieve/mailto"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ uri, want string }{
		{"mailto:a@x.test", `[a@x.test] [] [] "" "" map[]`},
		{"MAILTO:a@x.test?Subject=Hi%20there&body=1%0A2", `[a@x.test] [] [] "Hi there" "1\r\n2" map[]`},
		{"mailto:?to=a@x.test&to=b@x.test&cc=c@x.test&bcc=d@x.test", `[a@x.test b@x.test] [c@x.test] [d@x.test] "" "" map[]`},
		{"mailto:a%2Cb@x.test", "error"},
		{"mailto:a@x.test%2C%20b@x.test?to=c@x.test%2Cd@x.test", `[a@x.test b@x.test c@x.test d@x.test] [] [] "" "" map[]`},
		{"mailto:%22a%2Cb%22@x.test", `["a,b"@x.test] [] [] "" "" map[]`},
		{"mailto:a+b@x.test?subject=1+2", `[a+b@x.test] [] [] "1+2" "" map[]`},
		{"mailto:a@x.test?X-Y=z&x%2Dz=%C3%A4#part", `[a@x.test] [] [] "" "" map[x-y:z x-z:ä]`},
		{"mailto:a@x.test?a%20b=c", "error"}, {"mailto:a@x.test?x=%0d", "error"}, {"mailto:a@x.test?subject", "error"},
		{"mailto:a@x.test?x=%zz", "error"}, {"mailto:a@x.test?x=%ff", "error"}, {"mailto:a", "error"}, {"mailto:", "error"}, {"http://x", "error"},
		{"mailto:" + strings.Repeat("a@x.test,", 17), "error"},
	} {
		m, err := mailto.Parse(c.uri)
		got := "error"
		if err == nil {
			got = fmt.Sprintf("%v %v %v %q %q %v", m.To, m.Cc, m.Bcc, m.Subject, m.Body, m.Header)
		} else if !errors.Is(err, mailto.ErrSyntax) {
			t.Errorf("%s: %v is no ErrSyntax", c.uri, err)
		}
		if got != c.want {
			t.Errorf("%s:\n got %s %v\nwant %s", c.uri, got, err, c.want)
		}
	}
}

// FuzzParse holds that nothing that a URI says can end a line of a header, and that recipients are addresses.
func FuzzParse(f *testing.F) {
	f.Add("mailto:a@x.test?subject=Hi%20there&body=1%0A2&x-y=z")
	f.Add("mailto:?to=a@x.test&cc=%22q%22@x.test")
	f.Fuzz(func(t *testing.T, uri string) {
		m, err := mailto.Parse(uri)
		if err != nil {
			return
		}
		for _, list := range [][]string{m.To, m.Cc, m.Bcc} {
			for _, a := range list {
				if _, err := address.Parse(a); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, value := range m.Header {
			if strings.ContainsAny(name+value, "\r\n") {
				t.Fatalf("%q: %q", name, value)
			}
		}
		if strings.ContainsAny(m.Subject, "\r\n") {
			t.Fatalf("subject %q", m.Subject)
		}
	})
}
