package sorter_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/plan"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/sieve"
	"github.com/rookery-mail/rookery/mta/sorter"
)

var update = flag.Bool("update", false, "rewrite the expected outcome of stories")

// TestStories runs testdata/*.txt: what is known of a message, its header, a script, and what comes of it.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			head, want, _ := strings.Cut(string(data), "=== outcome\n")
			words, rest, _ := strings.Cut(head, "=== message\n")
			message, script, ok := strings.Cut(rest, "=== script\n")
			if !ok {
				t.Fatal("no script")
			}
			got := tell(t, words, strings.ReplaceAll(message, "\n", "\r\n"), script)
			if *update {
				if err := os.WriteFile(name, []byte(head+"=== outcome\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != want {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

func tell(t *testing.T, words, message, text string) string {
	t.Helper()
	script, err := sieve.Compile([]byte(text), sieve.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	header, _, _ := strings.Cut(message, "\r\n\r\n")
	c := sorter.Case{Account: 7, Own: "ada@example.org", ID: "Q1", Envelope: mta.Envelope{From: "bob@example.net"}, Hostname: "mx.example.org", Now: now,
		To: mta.Recipient{Address: "ada@example.org"}, Header: []byte(header + "\r\n"), Identity: sha256.Sum256([]byte(message)), Answers: true,
		Exists: func(name string) bool { return name == "Lists" }}
	n := 0
	c.NewID = func() mta.ID { n++; return mta.ID(fmt.Sprintf("N%d", n)) }
	for word := range strings.FieldsSeq(words) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "from":
			c.Envelope.From = value
		case "alone":
			c.Alone = true
		case "stranger":
			c.Answers = false
		case "junk":
			c.Keep = plan.Copy{Mailbox: "Junk", Keywords: []string{"$Junk"}}
		case "round": // it was sent on before, and looked otherwise
			first := true
			c.Known = func([]byte) bool { first = !first; return !first }
		case "again": // it was sent on before
			c.Known = func([]byte) bool { return true }
		default:
			t.Fatal("unknown word", word)
		}
	}
	o, err := script.Run(sieve.Input{Text: strings.NewReader(message), Size: int64(len(message)), Envelope: sieve.Envelope{From: c.Envelope.From, Recipient: c.To},
		Addresses: []string{"ada@example.org"}, Now: now, Delimiters: "+"})
	if err != nil {
		t.Fatal(err)
	}
	return show(t, sorter.Sort(c, o))
}

func show(t *testing.T, r sorter.Result) string {
	t.Helper()
	var b strings.Builder
	if r.Refuse != nil {
		fmt.Fprintf(&b, "refuse: %s\n", r.Refuse.Error())
	}
	show := func(copies []plan.Copy, sends []queue.Submission) {
		for _, c := range copies {
			fmt.Fprintf(&b, "copy in %s, flags %d %q, key %.4x\n", c.Mailbox, c.Flags, c.Keywords, c.DedupKey)
		}
		for _, s := range sends {
			fmt.Fprintf(&b, "send %s from <%s> to %q, forward %v, return %v, key %.4x\n", s.ID, s.Envelope.From, s.Recipients[0].Address, s.Forward, s.Envelope.Return, s.DedupKey)
		}
	}
	show(r.Copies, r.Sends)
	for _, o := range r.Others {
		text := make([]byte, o.Text.Size())
		if _, err := o.Text.ReadAt(text, 0); err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(text), "\r\n\r\n")
		fmt.Fprintf(&b, "another text:\n\t%s\n", strings.ReplaceAll(head, "\r\n", "\n\t"))
		show(o.Copies, o.Sends)
	}
	for _, a := range r.Answers {
		fmt.Fprintf(&b, "answer until %s, key %.4x\n", a.Until.Format("2006-01-02"), a.Key)
		show(nil, []queue.Submission{a.Send})
		if a.Copy != nil {
			show([]plan.Copy{*a.Copy}, nil)
		}
		fmt.Fprintf(&b, "\t%s\n", strings.TrimSuffix(strings.ReplaceAll(string(a.Text), "\r\n", "\n\t"), "\n\t"))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note %.4x until %s\n", n.Key, n.Until.Format("2006-01-02"))
	}
	for _, s := range r.Told {
		fmt.Fprintf(&b, "told: %s\n", s)
	}
	return b.String()
}
