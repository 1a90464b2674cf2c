package corpus

import (
	"bytes"
	"errors"
	"net/mail"
	"slices"
	"strings"
	"testing"
)

func TestGeneratorIsDeterministic(t *testing.T) {
	a, b := NewGenerator("run", Mix), NewGenerator("run", Mix)
	for n := range 50 {
		if !bytes.Equal(a.Append(nil, n), b.Append(nil, n)) {
			t.Fatalf("message %d differs between two generators", n)
		}
	}
	if bytes.Equal(a.Append(nil, 1), a.Append(nil, 2)) {
		t.Error("messages 1 and 2 are equal")
	}
	if bytes.Equal(a.Append(nil, 1), NewGenerator("other", Mix).Append(nil, 1)) {
		t.Error("two runs send the same message")
	}
}

func TestGeneratorMakesMail(t *testing.T) {
	for _, size := range []int{1200, 4096, 64 << 10, 1 << 20} {
		g := NewGenerator("run", Fixed(size))
		m := g.Append([]byte("before"), 3)[len("before"):]
		if d := len(m) - size; d < -64 || d > 64 {
			t.Errorf("a message of %d octets has %d", size, len(m))
		}
		checkLines(t, m)
		parsed, err := mail.ReadMessage(bytes.NewReader(m))
		if err != nil || parsed.Header.Get("Message-Id") != g.MessageID(3) {
			t.Errorf("size %d: %v, Message-ID %q", size, err, parsed.Header.Get("Message-Id"))
		}
	}
}

// checkLines holds what every server demands: CRLF line ends alone, no line beyond RFC 5321's limit.
func checkLines(t *testing.T, m []byte) {
	t.Helper()
	if !bytes.HasSuffix(m, []byte("\r\n")) {
		t.Error("the last line is not ended")
	}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(m, []byte("\r\n")), []byte("\r\n")) {
		if bytes.ContainsAny(line, "\r\n") || len(line) > 998 || bytes.HasPrefix(line, []byte(".")) {
			t.Fatalf("bad line of %d octets: %.80q", len(line), line)
		}
	}
}

func TestMix(t *testing.T) {
	var sizes []int
	for n := range 20_000 {
		sizes = append(sizes, Mix(n))
	}
	slices.Sort(sizes)
	if m := sizes[len(sizes)/2]; m < 18<<10 || m > 22<<10 {
		t.Errorf("median %d octets", m)
	}
	if m := sizes[len(sizes)*99/100]; m < 300<<10 || m > 1<<20 {
		t.Errorf("99th percentile %d octets", m)
	}
	if sizes[0] < mixLeast || sizes[len(sizes)-1] > mixMost {
		t.Errorf("from %d to %d octets", sizes[0], sizes[len(sizes)-1])
	}
}

func TestSplitMbox(t *testing.T) {
	const box = "From a Sat Nov 21\nSubject: one\n\n>From the start\n>>From twice\nFrom inside a paragraph\n\nFrom b Sat Nov 21\nSubject: two\n\ntext\n"
	got, err := SplitMbox(strings.NewReader(box), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Subject: one\r\n\r\nFrom the start\r\n>From twice\r\nFrom inside a paragraph\r\n", "Subject: two\r\n\r\ntext\r\n"}
	if len(got) != 2 || string(got[0]) != want[0] || string(got[1]) != want[1] {
		t.Errorf("got %q", got)
	}
	for _, bad := range []string{"\x7fELF\x02\x01", "From a\nnot a header\n", "Subject: no From line\n\n"} {
		if _, err := SplitMbox(strings.NewReader(bad), 1<<20); err == nil {
			t.Errorf("%q was taken for an mbox", bad)
		}
	}
}

func TestOwn(t *testing.T) {
	if _, err := Canonical([]byte("hello world\n")); !errors.Is(err, ErrNotMail) {
		t.Errorf("no header: %v", err)
	}
	if _, err := NewOwn("r", nil); err == nil {
		t.Error("an empty corpus was taken")
	}
	m, err := Canonical([]byte("Subject: x\n\nbare\rCR\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOwn("r", [][]byte{m})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(o.Append(nil, 5)); got != "X-Bench: 5.r\r\nSubject: x\r\n\r\nbareCR\r\n" {
		t.Errorf("got %q", got)
	}
}

func FuzzSplitMbox(f *testing.F) {
	f.Add([]byte("From a\nSubject: one\n\ntext\n\nFrom b\nSubject: two\n\n"))
	f.Add([]byte("From a\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		messages, err := SplitMbox(bytes.NewReader(data), 1<<20)
		if err != nil {
			return
		}
		for _, m := range messages {
			if !bytes.HasSuffix(m, []byte("\r\n")) || bytes.Contains(bytes.ReplaceAll(m, []byte("\r\n"), nil), []byte("\n")) {
				t.Fatalf("line ends of %q", m)
			}
		}
	})
}
