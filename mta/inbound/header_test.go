package inbound_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/inbound"
)

func TestAuthorOf(t *testing.T) {
	for name, c := range map[string]struct {
		header    string
		fields    int
		addresses []string
	}{
		"one":                  {"Subject: x\r\nFrom: Bob <Bob@Example.ORG>\r\n", 1, []string{"Bob@example.org"}},
		"folded":               {"FROM:\r\n\t\"Bob, the\"\r\n <bob@\r\n example.org>\r\n", 1, []string{"bob@example.org"}},
		"two fields":           {"From: a@b.example\r\nfrom : c@d.example\r\n", 2, []string{"a@b.example", "c@d.example"}},
		"several in one":       {"From: a@b.example, c@d.example\r\n", 1, []string{"a@b.example", "c@d.example"}},
		"a group":              {"From: us: a@b.example;\r\n", 1, []string{"a@b.example"}},
		"nobody":               {"From: \r\n", 1, nil},
		"no field":             {"Subject: From: a@b\r\n", 0, nil},
		"a name as an address": {"From: \"boss@example.org\" <x@example.net>\r\n", 1, []string{"x@example.net"}},
		"quotes":               {"From: \"a b\"@example.org\r\n", 1, []string{"\"a b\"@example.org"}},
		"an envelope's From":   {"From a@b.example Sat Jan 1\r\nFrom: c@d.example\r\n", 1, []string{"c@d.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := inbound.AuthorOf([]byte(c.header))
			if a.Fields != c.fields || !slices.Equal(a.Addresses, c.addresses) {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestListOf(t *testing.T) {
	for header, want := range map[string]string{
		"List-Id: Chess <Chess.Lists.Example.com>\r\n":        "chess.lists.example.com",
		"list-ID: \"a <b>\"\r\n <chess.\r\n example.com>\r\n": "chess.example.com",
		"List-Id: chess\r\n":                                  "", "X: <y>\r\n": "",
	} {
		if got := inbound.ListOf([]byte(header)); got != want {
			t.Errorf("%q is of the list %q", header, got)
		}
	}
}

func FuzzAuthorOf(f *testing.F) {
	f.Add("From: a@b\r\n\tc\r\nFrom: \"x\" <y@z>\r\nList-Id: <a>\r\n")
	f.Add("from:=?utf-8?q?a?= <@r:a@[192.0.2.1]>")
	f.Fuzz(func(t *testing.T, header string) {
		a := inbound.AuthorOf([]byte(header))
		if len(a.Addresses) > 100 || a.Fields > 1+strings.Count(header, "\n") {
			t.Errorf("%d fields, %d addresses", a.Fields, len(a.Addresses))
		}
		inbound.ListOf([]byte(header))
	})
}
