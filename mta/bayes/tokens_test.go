package bayes_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/bayes"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden holds the tokens of messages to what they were: models are made of them.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/messages/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatal("no messages", err)
	}
	for _, name := range files {
		octets, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tokens := bayes.Tokenize(octets)
		var out bytes.Buffer
		for i := range tokens.Len() {
			fmt.Fprintf(&out, "%016x %s\n", tokens.ID(i), tokens.Text(i))
		}
		golden := strings.TrimSuffix(name, ".eml") + ".tokens"
		if *update {
			if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s has other tokens:\n%s", name, out.Bytes())
		}
	}
}

// TestServersOwnFields: what the server says of a message in its header changes nothing.
func TestServersOwnFields(t *testing.T) {
	trace := "Return-Path: <a@example.net>\r\nReceived: from x.example.net ([192.0.2.1])\r\n\tby mx; date\r\n"
	said := "Authentication-Results: mx; spf=pass\r\nX-Spam-Status: Yes, score=10\r\nX-Rookery-Verdict: junk\r\n"
	message := "From: a@example.net\r\nSubject: hello world\r\n\r\nSome text that is here.\r\n"
	before, after := bayes.Tokenize([]byte(trace+message)), bayes.Tokenize([]byte(trace+said+message))
	if got, want := fmt.Sprint(after.Sorted()), fmt.Sprint(before.Sorted()); got != want {
		t.Errorf("%s, before the delivery %s", got, want)
	}
}

// TestNothingDrowns: however much a header, links or a part have, there is room for the others.
func TestNothingDrowns(t *testing.T) {
	var flood strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&flood, "word%d http://h%d.example/ ", i, i)
	}
	message := "Subject: " + flood.String() + "\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\n" + flood.String() +
		"\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>shown to the reader</p>\r\n--x--\r\n"
	tokens := bayes.Tokenize([]byte(message))
	if tokens.Len() > bayes.MaxTokens {
		t.Fatalf("%d tokens", tokens.Len())
	}
	for _, want := range []string{"subject:word1", "host:h1.example", "word1", "shown", "reader"} {
		if !has(tokens, want) {
			t.Errorf("no token %q", want)
		}
	}
}

func has(t *bayes.Tokens, text string) bool {
	for i := range t.Len() {
		if t.Text(i) == text {
			return true
		}
	}
	return false
}

func TestKeyOf(t *testing.T) {
	unix, mail, other := bayes.KeyOf([]byte("a\nb\n")), bayes.KeyOf([]byte("a\r\nb\r\n")), bayes.KeyOf([]byte("a\nc\n"))
	if unix != mail || unix == other {
		t.Errorf("%x, %x, %x", unix, mail, other)
	}
}

// FuzzTokenize: whatever the octets, tokens are bounded, each is there once, and they are the same when read again.
func FuzzTokenize(f *testing.F) {
	files, _ := filepath.Glob("testdata/messages/*.eml")
	for _, name := range files {
		octets, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(octets)
	}
	f.Add([]byte("Subject: \xff\xe6\x97\r\n\r\n\xe6\x97\xa5\xe6"))
	f.Fuzz(func(t *testing.T, octets []byte) {
		tokens := bayes.Tokenize(octets)
		again, err := bayes.Read(bytes.NewReader(octets), int64(len(octets)))
		if err != nil || tokens.Len() > bayes.MaxTokens {
			t.Fatal(tokens.Len(), err)
		}
		sorted := tokens.Sorted()
		for i, id := range sorted {
			if id == 0 || i > 0 && sorted[i-1] == id {
				t.Fatalf("token %x", id)
			}
		}
		for i := range tokens.Len() {
			if tokens.Text(i) != again.Text(i) {
				t.Fatalf("token %d is %q, and then %q", i, tokens.Text(i), again.Text(i))
			}
		}
	})
}
