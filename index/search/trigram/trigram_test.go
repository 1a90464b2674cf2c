package trigram_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/index/search"
	"github.com/rookery-mail/rookery/index/search/trigram"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// parse makes a message of octets.
func parse(t testing.TB, u index.UID, octets []byte) *access.Message {
	t.Helper()
	p := message.NewParser(message.Limits{})
	p.Write(octets)
	parsed := p.Finish()
	structure, err := parsed.Structure.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := parsed.Envelope.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return &access.Message{UID: u, Size: parsed.Size, HeaderSize: parsed.HeaderSize, EncodedStructure: structure, EncodedEnvelope: envelope}
}

// made is a segment in memory.
type made struct {
	postings map[trigram.Gram][]byte
	uids     []index.UID
	beyond   []index.UID
}

func build(t testing.TB, messages ...[]byte) made {
	t.Helper()
	b, r := trigram.NewBuilder(), &search.Reader{}
	for i, octets := range messages {
		if err := b.Add(r, parse(t, index.UID(i+1), octets), access.Octets(octets)); err != nil {
			t.Fatal(err)
		}
	}
	return finish(t, b)
}

func finish(t testing.TB, b *trigram.Builder) made {
	t.Helper()
	m := made{postings: map[trigram.Gram][]byte{}}
	last := -1
	s, err := b.Finish(func(g trigram.Gram, data []byte) error {
		if int(g) <= last {
			t.Errorf("gram %x comes after %x", g, last)
		}
		last = int(g)
		m.postings[g] = bytes.Clone(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m.uids, m.beyond = s.UIDs, s.Beyond
	return m
}

// find gives the UIDs that a query finds.
func (m made) find(t testing.TB, q *trigram.Query) (uids []index.UID) {
	t.Helper()
	o, err := q.Find(len(m.uids), func(g trigram.Gram) ([]byte, error) { return m.postings[g], nil })
	if err != nil {
		t.Fatal(err)
	}
	o.Each(func(n int) { uids = append(uids, m.uids[n]) })
	return uids
}

func TestFind(t *testing.T) {
	seg := build(t, []byte("Subject: apples\r\n\r\nRed and GREEN ones\r\n"), []byte("Subject: pears\r\n\r\ngreen apples are no pears\r\n"),
		[]byte("From: Al =?utf-8?Q?=C3=84pple?= <al@example.org>\r\nSubject: none\r\n\r\nred\r\n"))
	head := func(s string) *trigram.Query { return trigram.Holding(search.Fold(s), trigram.Header) }
	body := func(s string) *trigram.Query { return trigram.Holding(search.Fold(s), trigram.Body) }
	both := func(s string) *trigram.Query {
		return trigram.Holding(search.Fold(s), trigram.Header, trigram.Body)
	}
	for i, c := range []struct {
		q    *trigram.Query
		want string
	}{
		{head("APPLES"), "[1]"}, {body("apples"), "[2]"}, {both("apples"), "[1 2]"}, {body("green"), "[1 2]"}, {body("yellow"), "[]"},
		{trigram.And(body("green"), head("pears")), "[2]"}, {trigram.And(body("green"), nil), "[1 2]"}, {trigram.And(nil, nil), "[1 2 3]"},
		{trigram.Or(body("red"), head("pears")), "[1 2 3]"}, {trigram.Or(head("apples"), head("none")), "[1 3]"}, {trigram.Or(body("red"), nil), "[1 2 3]"},
		{head("äpple <al@EXAMPLE.org>"), "[3]"}, {body("re"), "[1 2 3]"}, {body(""), "[1 2 3]"}, {trigram.And(body("yellow"), body("green")), "[]"},
		{trigram.Or(trigram.And(body("green"), head("apples")), body("yellow")), "[1]"},
	} {
		if got := fmt.Sprint(append([]index.UID{}, seg.find(t, c.q)...)); got != c.want {
			t.Errorf("case %d: %s, not %s", i, got, c.want)
		}
	}
}

// TestNearly: what lacks no more than so many trigrams is found, and nothing that has none of them.
func TestNearly(t *testing.T) {
	seg := build(t, []byte("Subject: receive\r\n\r\nnone"), []byte("Subject: recieve\r\n\r\nreceive"), []byte("Subject: deceive\r\n\r\n"), []byte("Subject: x\r\n\r\nrec"))
	head := func(lost int) *trigram.Query { return trigram.Nearly([]byte("receive"), lost, trigram.Header) }
	both := func(lost int) *trigram.Query {
		return trigram.Nearly([]byte("receive"), lost, trigram.Header, trigram.Body)
	}
	word := func(s string) *trigram.Query { return trigram.Holding([]byte(s), trigram.Header, trigram.Body) }
	long := []byte(strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz", 2))
	for i, c := range []struct {
		q    *trigram.Query
		want string
	}{
		{head(0), "[1]"}, {head(1), "[1 3]"}, {head(3), "[1 3]"}, {head(4), "[1 2 3]"}, {head(99), "[1 2 3]"}, {both(0), "[1 2]"}, {both(99), "[1 2 3 4]"},
		{trigram.Nearly([]byte("re"), 1, trigram.Header), "[1 2 3 4]"}, {trigram.Nearly(long, 40, trigram.Header), "[1 2 3 4]"}, {trigram.Nearly(long, 20, trigram.Header), "[]"},
		{trigram.AtLeast(1, word("none"), word("deceive")), "[1 3]"}, {trigram.AtLeast(2, word("none"), word("receive"), word("subject")), "[1 2]"},
		{trigram.AtLeast(3, word("none"), word("receive"), word("subject")), "[1]"}, {trigram.AtLeast(2, word("none"), nil, word("deceive")), "[1 3]"},
		{trigram.AtLeast(1, word("none"), nil), "[1 2 3 4]"}, {trigram.AtLeast(0, word("none")), "[1 2 3 4]"}, {trigram.AtLeast(2, head(4), both(0), trigram.And(word("none"), word("zebra"))), "[1 2]"},
	} {
		if got := fmt.Sprint(append([]index.UID{}, seg.find(t, c.q)...)); got != c.want {
			t.Errorf("case %d: %s, not %s", i, got, c.want)
		}
	}
}

// TestLargeQueries: a query with more texts than can be looked up asks for less, never for more.
func TestLargeQueries(t *testing.T) {
	long := strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz. ", 40)
	seg := build(t, []byte("Subject: x\r\n\r\n"+long), []byte("Subject: x\r\n\r\nnothing"))
	var all []*trigram.Query
	for i := range 200 {
		all = append(all, trigram.Holding(search.Fold(long[i:i+100]), trigram.Body))
	}
	if got := seg.find(t, trigram.And(all...)); len(got) != 1 || got[0] != 1 {
		t.Error("all of them:", got)
	}
	if q := trigram.Or(all...); q != nil {
		t.Error("one of so many is looked for")
	}
}

// TestAddFails: a message that could not be read leaves nothing behind.
func TestAddFails(t *testing.T) {
	b, r := trigram.NewBuilder(), &search.Reader{}
	octets := []byte("Subject: zebra\r\nContent-Transfer-Encoding: base64\r\n\r\nemVicmE=\r\n")
	if err := b.Add(r, parse(t, 7, octets), failing{access.Octets(octets)}); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	if err := b.Add(r, parse(t, 8, []byte("Subject: lion\r\n\r\nlion")), access.Octets("Subject: lion\r\n\r\nlion")); err != nil {
		t.Fatal(err)
	}
	seg := finish(t, b)
	if got := seg.find(t, trigram.Holding([]byte("zebra"), trigram.Header)); len(got) != 0 || len(seg.uids) != 1 {
		t.Error(got, seg.uids)
	}
	if got := seg.find(t, trigram.Holding([]byte("lion"), trigram.Body)); len(got) != 1 || got[0] != 8 {
		t.Error(got)
	}
	if !b.Empty() {
		t.Error("the builder is not empty")
	}
}

var errDisk = errors.New("disk")

type failing struct{ access.Octets }

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// TestNoise: a message of more grams than are kept is left to be opened, and those beside it are found.
func TestNoise(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	noise := []byte("Subject: noise\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
	for range 1_000_000 {
		noise = append(noise, byte(' '+rnd.Intn('~'-' ')))
	}
	seg := build(t, []byte("Subject: a\r\n\r\nzebra"), noise, []byte("Subject: b\r\n\r\nzebra"))
	if got := seg.find(t, trigram.Holding([]byte("zebra"), trigram.Body)); fmt.Sprint(got, seg.uids, seg.beyond) != "[1 3] [1 3] [2]" {
		t.Error(got, seg.uids, seg.beyond)
	}
}

// TestPostings: what is encoded is decoded, and is never longer than a bit for each message.
func TestPostings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, trigram.MaxMessages).Draw(t, "messages")
		var o trigram.Ordinals
		for range rapid.IntRange(1, 2*n).Draw(t, "count") {
			o.Add(rapid.IntRange(0, n-1).Draw(t, "ordinal"))
		}
		data := trigram.Encode(nil, &o, n)
		got, err := trigram.Decode(data, n)
		if err != nil || got != o || len(data) > 1+(n+7)/8 {
			t.Fatalf("%d octets, %v", len(data), err)
		}
	})
}

// TestSegment: descriptors are read as written, and any other octet of them is found out.
func TestSegment(t *testing.T) {
	s := &trigram.Segment{UIDValidity: 7, ModSeq: 1 << 40, Last: 900, Saved: -5, Size: 12345, UIDs: []index.UID{3, 4, 900, 5, 1<<32 - 1}, Beyond: []index.UID{7, 8}}
	data := s.Append(nil)
	got, err := trigram.ReadSegment(data)
	if err != nil || fmt.Sprint(*got) != fmt.Sprint(*s) {
		t.Fatal(got, err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x10
		if _, err := trigram.ReadSegment(bad); !errors.Is(err, trigram.ErrFormat) {
			t.Errorf("octet %d: %v", i, err)
		}
	}
	golden(t, "segment.golden", fmt.Appendf(nil, "%x\n", data))
}

// TestLayout holds the postings of a small segment against what is stored.
func TestLayout(t *testing.T) {
	seg := build(t, []byte("Subject: ab\r\n\r\nxyzzy\r\n"), []byte("Subject: cd\r\n\r\nxyz"))
	var out bytes.Buffer
	for g := trigram.Gram(0); g < 2<<24; g++ {
		if data := seg.postings[g]; data != nil {
			fmt.Fprintf(&out, "%d %q %x\n", g>>24, []byte{byte(g >> 16), byte(g >> 8), byte(g)}, data)
		}
	}
	golden(t, "layout.golden", out.Bytes())
}

// TestTexts holds the grams of some messages against those of this version. Where it fails because package search
// or message now reads a message otherwise, Version goes up: what older builds indexed is then thrown away.
func TestTexts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatal("no messages", err)
	}
	out := fmt.Appendf(nil, "version %d\n", trigram.Version)
	for _, file := range files {
		octets, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seg := build(t, octets)
		h := sha256.New()
		for g := trigram.Gram(0); g < 2<<24; g++ {
			if seg.postings[g] != nil {
				fmt.Fprintf(h, "%x ", g)
			}
		}
		out = fmt.Appendf(out, "%s %d grams %x\n", filepath.Base(file), len(seg.postings), h.Sum(nil)[:8])
	}
	golden(t, "texts.golden", out)
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is otherwise now:\n%s", name, got)
	}
}

// FuzzFind: whatever SEARCH finds in a message, the index finds.
func FuzzFind(f *testing.F) {
	f.Add([]byte("Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?Q?_aus_K=F6ln?=\r\nX: d\xe9j\xe0\r\nFrom: \"A\xffB\" <a@b>\r\n\r\nIstanbul"), "GRÜSSE")
	f.Add([]byte("From: =?utf-8?Q?=C3=84pple?= <al@example.org>, b@c\r\nMessage-ID: <1@X>\r\n\r\n"), "äpple <AL")
	f.Add([]byte("Content-Type: text/html; charset=utf-16\r\n\r\n<\x00b\x00"), "b")
	f.Add([]byte("X-A : =?utf-8?B?4oKs?=\r\n =?utf-8?B?4oKs?=\r\n\r\n\xc3"), "€€")
	f.Add([]byte("X:\xe2\x82\r\n =?x?=\r\n\r\nİ"), "x:")
	f.Fuzz(func(t *testing.T, octets []byte, text string) {
		if len(octets) > 1<<16 || !utf8.ValidString(text) {
			return
		}
		m, body, folded, r := parse(t, 1, octets), access.Octets(octets), search.Fold(text), &search.Reader{}
		seg := build(t, octets)
		hold := func(what string, is bool, sections ...trigram.Section) {
			if is && len(seg.find(t, trigram.Holding(folded, sections...))) == 0 {
				t.Errorf("%q is in the %s of %q and not in the index", text, what, octets)
			}
		}
		found, err := r.Body(m, body, folded)
		if err != nil {
			t.Fatal(err)
		}
		hold("body", found, trigram.Body)
		hold("text", found, trigram.Header, trigram.Body)
		for _, name := range []string{"", "subject", "x", "x-a", "from", "content-type"} {
			if found, err = r.Header(m, body, name, folded); err != nil {
				t.Fatal(err)
			}
			hold("header "+name, found, trigram.Header)
		}
		found = false
		search.EnvelopeTexts(m.Envelope(), func(s string) { found = found || search.Holds(s, folded) })
		hold("envelope", found, trigram.Header)
	})
}

// FuzzDecode: octets that are no postings are refused, and others mean what they say.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{1, 0, 0, 5}, uint16(9))
	f.Add([]byte{2, 0xff, 1}, uint16(9))
	f.Add([]byte{2, 0xff, 0xff}, uint16(9))
	f.Add([]byte{1, 0x80}, uint16(4096))
	f.Fuzz(func(t *testing.T, data []byte, n uint16) {
		o, err := trigram.Decode(data, int(n))
		if err != nil {
			if !errors.Is(err, trigram.ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		o.Each(func(at int) {
			if at >= int(n) {
				t.Errorf("ordinal %d of %d", at, n)
			}
		})
		if again, err := trigram.Decode(trigram.Encode(nil, &o, int(n)), int(n)); !o.Empty() && (err != nil || again != o) {
			t.Error("not what it was", err)
		}
	})
}

// FuzzReadSegment: octets that are no descriptor are refused without harm.
func FuzzReadSegment(f *testing.F) {
	s := &trigram.Segment{UIDValidity: 1, ModSeq: 2, Last: 3, Saved: 4, Size: 5, UIDs: []index.UID{1, 2, 3}}
	f.Add(s.Append(nil))
	f.Add([]byte{trigram.Version, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, d := range [][]byte{data, trigram.Sealed(data)} {
			s, err := trigram.ReadSegment(d)
			if err != nil {
				if !errors.Is(err, trigram.ErrFormat) {
					t.Fatal(err)
				}
				continue
			}
			again, err := trigram.ReadSegment(s.Append(nil))
			if err != nil || fmt.Sprint(*again) != fmt.Sprint(*s) {
				t.Error(s, again, err)
			}
		}
	})
}
