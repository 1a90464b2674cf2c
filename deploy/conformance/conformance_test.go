package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// TestEachCapability holds that each capability that is announced has a story and stands in
// docs/imap.md, and that no story is about one that is not announced.
func TestEachCapability(t *testing.T) {
	names, err := announced(root)
	if err != nil {
		t.Fatal(err)
	}
	all, err := stories(root)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile(root + "/docs/imap.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, s := range all {
		if len(s.about) == 0 {
			t.Errorf("%s %s has no remark line that says what it is about, such as \"# RFC 8508: REPLACE\"", s.pkg, s.test)
		}
		for _, c := range s.about {
			told[c.capability] = true
			if !slices.Contains(names, c.capability) {
				t.Errorf("%s %s is about %s, which nobody announces", s.pkg, s.test, c.capability)
			}
		}
	}
	for _, name := range names {
		if !told[name] {
			t.Errorf("%s is announced and has no story", name)
		}
		word := regexp.MustCompile(`(^|[^A-Za-z0-9=+-])` + regexp.QuoteMeta(name) + `($|[^A-Za-z0-9=+-])`)
		if !word.Match(docs) {
			t.Errorf("%s is announced and docs/imap.md does not name it", name)
		}
	}
}

// TestTable: a capability without a story, and one whose story failed, are told.
func TestTable(t *testing.T) {
	all := []story{
		{pkg: "p", test: "TestTranscripts/a", about: []claim{{"RFC 1", "A"}, {"RFC 2", "B"}}},
		{pkg: "p", test: "TestB", about: []claim{{"RFC 2", "B"}}},
	}
	var text strings.Builder
	if table(&text, []string{"A", "B", "C"}, all, outcomes{"p TestTranscripts/a": "pass", "p TestB": "fail"}) {
		t.Error("all is said to have passed")
	}
	want := []string{"extension RFC stories result", "A 1 a pass", "B 2 a, TestB FAIL", "C NO STORY"}
	var got []string
	for line := range strings.Lines(text.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the table is %q, want %q", got, want)
	}
	if !table(&text, []string{"A"}, all, outcomes{"p TestTranscripts/a": "pass"}) {
		t.Error("a story that passed did not")
	}
}
