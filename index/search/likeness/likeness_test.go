package likeness

import (
	"math/rand"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/index/search"
	"github.com/rookery-mail/rookery/index/search/trigram"
)

// score is how like texts are to a needle, or -1 where that has no words.
func score(needle string, texts ...string) int {
	n := New(search.Fold(needle))
	if n == nil {
		return -1
	}
	m := n.Match()
	for _, t := range texts {
		m.Text(search.Fold(t), true)
	}
	return m.Score()
}

func TestScore(t *testing.T) {
	long := strings.Repeat("x", 500)
	for _, c := range []struct {
		needle, text string
		want         int
	}{
		{"hello", "Hello, world", 100}, {"hello", "othello", 60}, {"hell", "hello", 80}, {"hello", "hellos hello", 100},
		{"helo", "hello", 40}, {"helo", "help", 40}, {"helo", "hero", 0}, {"hello", "ehllo", 40}, {"hlelo", "hello", 0},
		{"receive", "recieve", 40}, {"receive", "receipt", 0}, {"appointment", "apointmemt", 20}, {"appointment", "apontmemt", 0},
		{"the", "teh", 0}, {"a", "a", 100}, {"ab", "cab", 60}, {"grüße", "GRÜẞE", 100}, {"müller", "mueller", 0}, {"müller", "muller", 40},
		{"ΟΔΥΣΣΕΑΣ", "οδυσσεας", 40}, {"οδυσσεας", "Οδυσσεας", 100}, {"日本", "これは日本語です", 60}, {"日本語", "日本", 0},
		{"imap break", "IMAP is broken", 0}, {"imap break", "break imap", 100}, {"imap break", "imap breaks", 90},
		{"one two three", "one two", 66}, {"one two three four", "one two", 0}, {"one one two", "one", 0}, {"one, two; one", "two one", 100},
		{"", "x", -1}, {"?!", "x", -1}, {"x", "", 0}, {"needle", long + "needle", 60}, {"needle", "needle" + long, 80}, {"xxxx", long, 80},
		{long, long, 80}, {"xx", long + " xx", 100}, {"hello world", "hel\nlo world", 0}, {"hello", "hel-lo", 0},
	} {
		if got := score(c.needle, c.text); got != c.want {
			t.Errorf("%.40q in %.40q: %d, not %d", c.needle, c.text, got, c.want)
		}
	}
	if got := score("hello world", "hello", "world"); got != 100 {
		t.Error("words of two texts:", got)
	}
}

// TestHalve: what comes after counts half, and is not looked at where it can add nothing.
func TestHalve(t *testing.T) {
	n := New([]byte("one two"))
	m := n.Match()
	m.Text([]byte("one"), true)
	m.Halve()
	if !m.Text([]byte("one two "), true) && m.Score() != 75 {
		t.Error("nothing more is looked at, or the score is", m.Score())
	}
	if got := m.Score(); got != 75 {
		t.Error("the score is", got)
	}
	m = n.Match()
	if m.Text([]byte("two one "), true) {
		t.Error("it goes on though all is found")
	}
}

// TestBounds: long texts and needles are cut, and everything ends.
func TestBounds(t *testing.T) {
	m := New([]byte("end")).Match()
	piece := []byte(strings.Repeat("word ", 1000))
	n := 0
	for m.Text(piece, n == 0) {
		n++
	}
	if m.Text([]byte("end "), false); m.Score() != 0 || n != MaxText/len(piece) {
		t.Errorf("%d pieces were looked at, the score is %d", n, m.Score())
	}
	many := New([]byte(strings.Repeat("ab cd ", 100) + "ef gh ij kl mn op qr st uv wx yz aa bb cc dd ee ff gg hh"))
	if len(many.words) != MaxWords {
		t.Errorf("%d words are looked for", len(many.words))
	}
	if w := New([]byte(strings.Repeat("日", 50))).words[0]; len(w.text) != 63 || !utf8.Valid(w.text) {
		t.Errorf("a long word is cut to %q", w.text)
	}
}

// distance is the optimal string alignment distance as its definition says.
func distance(a, b []rune) int {
	if len(a) == 0 || len(b) == 0 {
		return len(a) + len(b)
	}
	x, y := len(a)-1, len(b)-1
	d := distance(a[:x], b[:y])
	if a[x] != b[y] {
		d++
	}
	d = min(d, distance(a[:x], b)+1, distance(a, b[:y])+1)
	if x > 0 && y > 0 && a[x] == b[y-1] && a[x-1] == b[y] {
		d = min(d, distance(a[:x-1], b[:y-1])+1)
	}
	return d
}

func TestDistance(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	text := func(least, most int) []rune {
		out := make([]rune, least+rnd.Intn(most-least+1))
		for i := range out {
			out[i] = []rune("abü日")[rnd.Intn(4)]
		}
		return out
	}
	near := 0
	for range 1000 {
		a, b := text(1, 6), text(1, 6)
		for errors := 1; errors <= 2; errors++ {
			w := word{text: []byte(string(a)), runes: a, errors: errors}
			want := min(distance(a, b), errors+1)
			if got := w.distance([]byte(string(b))); got != want {
				t.Fatalf("%q and %q with %d errors: %d, not %d", string(a), string(b), errors, got, want)
			}
			if want <= errors {
				near++
			}
		}
	}
	if near < 100 {
		t.Errorf("only %d pairs were near", near)
	}
}

// parse makes a message of octets.
func parse(t testing.TB, octets []byte) *access.Message {
	t.Helper()
	p := message.NewParser(message.Limits{})
	p.Write(octets)
	parsed := p.Finish()
	structure, err := parsed.Structure.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return &access.Message{UID: 1, Size: parsed.Size, HeaderSize: parsed.HeaderSize, EncodedStructure: structure}
}

// check holds that what is found in a body is found in any pieces of it, and by an index.
func check(t testing.TB, needle, text string, cut int) (score int) {
	t.Helper()
	n := New(search.Fold(needle))
	octets := []byte("Content-Type: text/plain; charset=utf-8\r\n\r\n" + text)
	if n == nil || !utf8.ValidString(needle) || len(octets) > MaxText {
		return 0
	}
	m, body, r := parse(t, octets), access.Octets(octets), &search.Reader{}
	whole, pieces := n.Match(), n.Match()
	err := r.Texts(m, body, func(piece []byte, begins bool) bool {
		whole.Text(piece, begins)
		for len(piece) > 0 {
			i := min(max(cut, 1), len(piece))
			for i < len(piece) && !utf8.RuneStart(piece[i]) {
				i++
			}
			pieces.Text(piece[:i], begins)
			piece, begins = piece[i:], false
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	score = whole.Score()
	if got := pieces.Score(); got != score || score < 0 || score > 100 {
		t.Fatalf("%q in %q has %d, in pieces %d", needle, text, score, got)
	}
	b, postings := trigram.NewBuilder(), map[trigram.Gram][]byte{}
	if err := b.Add(r, m, body); err != nil {
		t.Fatal(err)
	}
	s, err := b.Finish(func(g trigram.Gram, data []byte) error {
		postings[g] = append([]byte(nil), data...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Beyond) > 0 {
		return score
	}
	for _, sections := range [][]trigram.Section{{trigram.Body}, {trigram.Header, trigram.Body}} {
		found, err := n.Query(sections...).Find(1, func(g trigram.Gram) ([]byte, error) { return postings[g], nil })
		if err != nil {
			t.Fatal(err)
		}
		if score > 0 && found.Empty() {
			t.Fatalf("%q is like %q by %d, and not in the index", needle, text, score)
		}
	}
	return score
}

// TestIndexHolds: whatever errors a text has, what is found by looking at it is found by an index.
func TestIndexHolds(t *testing.T) {
	rnd := rand.New(rand.NewSource(2))
	words := []string{"receive", "appointment", "grüße", "Müller", "日本語テスト", "Ὀδυσσεύς", "helo", "of", "minutes", "1234567890", "😀😀😀😀😀😀😀😀"}
	found := 0
	for range 400 {
		var needle, text []string
		for range 1 + rnd.Intn(4) {
			w := words[rnd.Intn(len(words))]
			needle = append(needle, w)
			runes := []rune(w)
			for range rnd.Intn(4) {
				i := rnd.Intn(len(runes))
				switch rnd.Intn(5) {
				case 0:
					runes[i] = []rune("eü本😀")[rnd.Intn(4)]
				case 1:
					runes = append(runes[:i:i], append([]rune{'x'}, runes[i:]...)...)
				case 2:
					if len(runes) > 1 {
						runes = append(runes[:i:i], runes[i+1:]...)
					}
				case 3:
					if i > 0 {
						runes[i], runes[i-1] = runes[i-1], runes[i]
					}
				}
			}
			text = append(text, string(runes))
		}
		if check(t, strings.Join(needle, " "), strings.Join(text, []string{" ", "\r\n", "--"}[rnd.Intn(3)]), 1+rnd.Intn(9)) > 0 {
			found++
		}
	}
	if found < 60 || found == 400 {
		t.Errorf("%d of 400 were found", found)
	}
}

// FuzzMatch: no text is looked at otherwise in pieces than whole, and what is found an index finds.
func FuzzMatch(f *testing.F) {
	f.Add("hello", "Hlelo helo", uint16(3))
	f.Add("grüße 日本語", "gruße 日本", uint16(1))
	f.Add(strings.Repeat("x", 70), strings.Repeat("x", 600), uint16(100))
	f.Add("appointment of minutes", "apointmnet\xff of\u0301", uint16(7))
	f.Fuzz(func(t *testing.T, needle, text string, cut uint16) {
		if len(text) < 1<<16 {
			check(t, needle, text, int(cut))
		}
	})
}

// BenchmarkMatch looks for a word with an error in it in 64 KiB of words that are not it.
func BenchmarkMatch(b *testing.B) {
	text := []byte(strings.Repeat("the minutes of the last meeting, as ann@example.org sent them around; ", 1<<16/70))
	for name, needle := range map[string]string{"one word": "appointmnet", "four words": "appointmnet recieve invoce schedul"} {
		n := New([]byte(needle))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for range b.N {
				m := n.Match()
				m.Text(text, true)
				if m.Score() != 0 {
					b.Fatal("found")
				}
			}
		})
	}
}
