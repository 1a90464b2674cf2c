package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/message"
)

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		reference, pattern, name string
		want                     bool
	}{
		{"", "*", "a/b/c", true}, {"", "%", "a/b", false}, {"", "%", "a", true}, {"", "a/%", "a/b", true},
		{"", "a/%", "a/b/c", false}, {"", "a*c", "a/b/c", true}, {"", "%/%", "a/b", true}, {"", "inbox", "INBOX", true},
		{"", "Inbox/*", "INBOX/x", true}, {"a/", "%", "a/b", true}, {"", "", "a", false}, {"", "**%%**", "a/b", true},
		{"", strings.Repeat("*a", 900), strings.Repeat("a", 1000), true}, {"", strings.Repeat("*", 3000), "a", false},
		{"", strings.Repeat("%a", 500) + "b", strings.Repeat("a", 1000), false},
	} {
		if got := newPattern(c.reference, c.pattern).matches(c.name); got != c.want {
			t.Errorf("%.20q %.20q fits %.20q: %v", c.reference, c.pattern, c.name, got)
		}
	}
}

// TestFieldFilter: fields are chosen whole, however long and however they are folded.
func TestFieldFilter(t *testing.T) {
	long := "Subject: " + strings.Repeat("x", 10000) + "\r\n " + strings.Repeat("y", 10000) + "\r\n"
	header := "From: a\r\n" + long + "X-SUBJECT: no\r\nno field\r\nsubject : second\r\n\r\nSubject: body\r\n"
	for _, c := range []struct {
		sec  wire.Section
		want string
	}{
		{wire.Section{Specifier: wire.HeaderFields, Fields: []string{"SUBJECT"}}, long + "subject : second\r\n\r\n"},
		{wire.Section{Specifier: wire.HeaderFieldsNot, Fields: []string{"Subject", "from"}}, "X-SUBJECT: no\r\nno field\r\n\r\n"},
	} {
		var out bytes.Buffer
		if err := newFieldFilter(c.sec).copy(&out, strings.NewReader(header), message.NewLines()); err != nil || out.String() != c.want {
			t.Errorf("%v gave %.100q, %v", c.sec, out.String(), err)
		}
	}
}
