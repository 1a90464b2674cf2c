package harness

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
)

// TestCorpusIsReal reads messages with another parser and counts their kinds.
func TestCorpusIsReal(t *testing.T) {
	corpus := Corpus{Seed: 3, Domain: "example.org", Large: true}
	kinds := map[string]int{}
	ids := map[string]bool{}
	largest := 0
	for n := range 300 {
		m := corpus.Message(n, "ada@example.org")
		largest = max(largest, len(m.Raw))
		if ids[m.ID] {
			t.Fatalf("message %d has the id of another one", n)
		}
		ids[m.ID] = true
		if bytes.Contains(bytes.ReplaceAll(m.Raw, []byte("\r\n"), nil), []byte("\n")) {
			t.Fatalf("message %d has a bare LF", n)
		}
		parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
		if err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
		kind, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
		if err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
		kinds[kind]++
		if strings.HasPrefix(kind, "multipart/") {
			readParts(t, parsed.Body, params["boundary"])
		}
		for _, line := range bytes.Split(m.Raw, []byte("\r\n")) {
			if len(line) > 998 {
				t.Fatalf("message %d has a line of %d octets", n, len(line))
			}
		}
	}
	if len(kinds) != 3 || largest < 1<<20 {
		t.Errorf("kinds %v, the largest message has %d octets", kinds, largest)
	}
}

func readParts(t *testing.T, body io.Reader, boundary string) {
	t.Helper()
	r := multipart.NewReader(body, boundary)
	parts := 0
	for {
		part, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, part); err != nil {
			t.Fatal(err)
		}
		parts++
	}
	if parts != 2 {
		t.Errorf("%d parts, want 2", parts)
	}
}

func TestCorpusIsTheSame(t *testing.T) {
	a := Corpus{Seed: 4, Domain: "example.org"}.Message(11, "ada@example.org")
	b := Corpus{Seed: 4, Domain: "example.org"}.Message(11, "ada@example.org")
	c := Corpus{Seed: 5, Domain: "example.org"}.Message(11, "ada@example.org")
	if a.Digest != b.Digest || a.ID != b.ID {
		t.Error("the same seed makes other messages")
	}
	if a.Digest == c.Digest {
		t.Error("another seed makes the same messages")
	}
}

func TestReadDigest(t *testing.T) {
	m := Corpus{Seed: 6, Domain: "example.org"}.Message(0, "ada@example.org")
	traced := append([]byte("Return-Path: <x@y>\r\nReceived: from a\r\n\tby b; Mon, 5 Jan 2026\r\n"), m.Raw...)
	if id, digest := ReadDigest(traced); id != m.ID || digest != m.Digest {
		t.Error("trace fields change the digest")
	}
	if id, digest := ReadDigest(m.Raw); id != m.ID || digest != m.Digest {
		t.Error("the message as sent has another digest")
	}
	if _, digest := ReadDigest(m.Raw[:len(m.Raw)-1]); digest == m.Digest {
		t.Error("a shorter message has the same digest")
	}
	if id, _ := ReadDigest([]byte("Subject: none\r\n\r\n")); id != "" {
		t.Errorf("an id of %q out of nothing", id)
	}
}
