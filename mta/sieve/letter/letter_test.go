package letter_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/sieve/letter"
)

func open(t testing.TB, text string) *letter.Letter {
	t.Helper()
	l, err := letter.New(strings.NewReader(text), int64(len(text)), letter.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func all(t testing.TB, text *letter.Text) string {
	t.Helper()
	b, err := io.ReadAll(text.Reader())
	if err != nil || int64(len(b)) != text.Size() {
		t.Fatalf("read %d octets of %d: %v", len(b), text.Size(), err)
	}
	return string(b)
}

// TestFolds shows that what is written is within the lines of RFC 5322, and reads as it was meant.
func TestFolds(t *testing.T) {
	for _, value := range []string{
		"", "short", strings.Repeat("word ", 40) + "end", strings.Repeat("x", 300), strings.Repeat("ä", 100), "a " + strings.Repeat(" ", 100) + "b",
		"Grüße " + strings.Repeat("and words ", 20), "x" + strings.Repeat(" ", 90),
	} {
		f := letter.NewField("X-Long-Name-Of-A-Field", value)
		for line := range bytes.Lines(f.Raw) {
			if len(line) > 400 || !bytes.HasSuffix(line, []byte("\r\n")) || len(bytes.TrimSpace(line)) == 0 {
				t.Errorf("%.20q: a line %q", value, line)
			}
		}
		if got := f.Subject().Text; got != strings.Trim(value, " ") {
			t.Errorf("%q reads as %q", value, got)
		}
	}
}

// TestLargeHeader shows that a header above the limit is read to there, and written as it came.
func TestLargeHeader(t *testing.T) {
	text := "Subject: x\r\n" + strings.Repeat("X-Fill: "+strings.Repeat("y", 90)+"\r\n", 1000) + "X-Last: z\r\n\r\nbody\r\n"
	l, err := letter.New(strings.NewReader(text), int64(len(text)), letter.Limits{Header: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Fields("x-last")) != 0 || len(l.Fields("subject")) != 1 {
		t.Error("the limit of the header is not kept")
	}
	l = open(t, text)
	if len(l.Fields("x-last")) != 1 {
		t.Error("the end of the header was not read")
	}
	l.Delete(l.Fields("subject")...)
	if got := all(t, l.Version()); got != strings.TrimPrefix(text, "Subject: x\r\n") {
		t.Errorf("%d octets, want %d", len(got), len(text)-12)
	}
}

// TestBodyLimit shows that no more text is decoded than the limit, however much there is.
func TestBodyLimit(t *testing.T) {
	text := "Content-Type: text/plain\r\n\r\n" + strings.Repeat("0123456789", 1000)
	l, err := letter.New(strings.NewReader(text), int64(len(text)), letter.Limits{Body: 100})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := l.Raw()
	texts, err2 := l.Texts()
	if err != nil || err2 != nil || len(raw.Text) != 100 || len(texts) != 1 || len(texts[0].Text) != 100 {
		t.Errorf("%v %v: %d octets raw", err, err2, len(raw.Text))
	}
}

var errDisk = errors.New("the disk")

// broken fails behind so many octets.
type broken struct {
	text string
	good int64
}

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.good {
		return 0, errDisk
	}
	return copy(p, b.text[off:]), nil
}

// TestReadErrors shows that errors of the message come through, and that nothing is taken for read that was not.
func TestReadErrors(t *testing.T) {
	text := "Subject: x\r\n" + strings.Repeat("X: y\r\n", 2000) + "\r\n" + strings.Repeat("body\r\n", 4000)
	size := int64(len(text))
	if _, err := letter.New(broken{text, 100}, size, letter.Limits{}); !errors.Is(err, errDisk) {
		t.Errorf("the header: %v", err)
	}
	l, err := letter.New(broken{text, 20_000}, size, letter.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Raw(); !errors.Is(err, errDisk) {
		t.Errorf("the body: %v", err)
	}
	if _, err := l.Texts(); !errors.Is(err, errDisk) {
		t.Errorf("the texts: %v", err)
	}
	l.Add("A", "b", false)
	if _, err := io.ReadAll(l.Version().Reader()); !errors.Is(err, errDisk) {
		t.Errorf("the changed text: %v", err)
	}
	if _, err := letter.New(strings.NewReader("short"), 100, letter.Limits{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a message that ends early: %v", err)
	}
}

// FuzzLetter holds that reading any message goes well, that what no change touched stays as it came, and that enclosing keeps the message
// whole.
func FuzzLetter(f *testing.F) {
	for _, s := range []string{
		"", "\r\n", "A: b\n\nc", "From x\nA: b\n\nc", "A: b\n c\nnot a field\nd", "A: b",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\ntwo\r\n--b--\r\n",
		"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+eDwvYj4=\r\n",
	} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, n uint8) {
		l := open(t, string(text))
		if l.Version() != nil {
			t.Fatal("changed before a change")
		}
		raw, err := l.Raw()
		if err != nil {
			t.Fatal(err)
		}
		body := raw.Text
		for _, types := range [][]string{{""}, {"text"}, {"multipart", "message/rfc822"}} {
			if _, err := l.Contents(types); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Texts(); err != nil {
			t.Fatal(err)
		}
		l.Add("X-First", "one", false)
		l.Add("X-Last", "two", true)
		again := open(t, all(t, l.Version()))
		if len(again.Fields("X-First")) == 0 {
			t.Fatalf("X-First is lost of %q", all(t, l.Version()))
		}
		if r, err := again.Raw(); err != nil || r.Text != body {
			t.Fatalf("the body %q became %q", body, r.Text)
		}
		root, err := l.Root()
		if err != nil {
			t.Fatal(err)
		}
		parts := root.Walk()
		before := l.Version().Size()
		p := parts[int(n)%len(parts)]
		if err := p.Replace(letter.Entity("replaced " + strings.Repeat("ü", int(n%3)))); err != nil {
			t.Fatal(err)
		}
		if got := all(t, l.Version()); !strings.Contains(got, "replaced ") {
			t.Fatalf("the replacement is not in %q, which had %d octets", got, before)
		}
		inner := all(t, l.Version())
		outer, err := l.Enclose(letter.Enclosure{Text: "see", Subject: "s", Headers: []string{"X-First"}, Date: "now"})
		if err != nil {
			t.Fatal(err)
		}
		if got := all(t, outer.Version()); !strings.Contains(got, inner) {
			t.Fatalf("%q does not hold %q", got, inner)
		}
	})
}
