package search_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand"
	"mime/quotedprintable"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"

	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/index/search"
)

// streamed hides that a body is in memory.
type streamed struct{ access.Body }

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
	return &access.Message{Size: parsed.Size, HeaderSize: parsed.HeaderSize, EncodedStructure: structure}
}

// naive says the same as Reader.Body without any of its ways: each text part whole, in lower case.
func naive(t testing.TB, p *indexpb.Part, octets []byte, text string) bool {
	for _, c := range p.Children {
		if naive(t, c, octets, text) {
			return true
		}
	}
	if string(p.Type) != "text" && len(p.Type) > 0 {
		return false
	}
	from := min(p.BodyOffset, uint64(len(octets)))
	part := octets[from:min(max(p.BodyOffset+p.BodyLength, from), uint64(len(octets)))]
	all, err := io.ReadAll(message.DecodeText(p, bytes.NewReader(part), message.TextOnly))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(strings.ToLower(string(all)), strings.ToLower(text))
}

// check compares what a Reader finds, in memory and streaming, with naive.
func check(t testing.TB, r *search.Reader, m *access.Message, octets []byte, text string) {
	t.Helper()
	want := naive(t, m.Structure(), octets, text)
	for _, body := range []access.Body{access.Octets(octets), streamed{access.Octets(octets)}} {
		if got, err := r.Body(m, body, search.Fold(text)); got != want || err != nil {
			t.Errorf("%.60q in %.600q with %T: %v, %v", text, octets, body, got, err)
		}
	}
}

var words = []string{"Minutes", "GRÜSSE", "straße", "Ärger", "İstanbul", "été", "e\u0301te\u0301", "Σίσυφος", "ΟΔΟΣ", "K", "\u212a", "日本語", "テスト", "a", "<b>bold</b>",
	"&amp;", "<!-- gone -->", "=3D", "x=y", "\xff\xfe", "0123456789012345678901234567890123456789", "\r\n", "😀"}

// letter makes a random message, and gives some of its plain text.
func letter(rnd *rand.Rand) (octets []byte, plain string) {
	var b, text strings.Builder
	b.WriteString("Subject: test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n")
	for range 1 + rnd.Intn(3) {
		text.Reset()
		for n := rnd.Intn(1 << rnd.Intn(13)); n > 0; n-- {
			text.WriteString(words[rnd.Intn(len(words))])
			if rnd.Intn(3) > 0 {
				text.WriteByte(' ')
			}
		}
		plain = text.String()
		content, charset := []byte(plain), "utf-8"
		if utf8.ValidString(plain) {
			switch rnd.Intn(4) {
			case 0:
				content, charset = encoded(charmap.ISO8859_1.NewEncoder(), content), "iso-8859-1"
			case 1:
				content, charset = encoded(japanese.ISO2022JP.NewEncoder(), content), "ISO-2022-JP"
			}
		}
		fmt.Fprintf(&b, "--cut\r\nContent-Type: text/%s; charset=%s\r\n", []string{"plain", "html"}[rnd.Intn(2)], charset)
		switch rnd.Intn(3) {
		case 0:
			b.WriteString("Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(content))
		case 1:
			b.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
			w := quotedprintable.NewWriter(&b)
			w.Write(content)
			w.Close()
		default:
			b.WriteString("Content-Transfer-Encoding: 8bit\r\n\r\n" + string(content))
		}
		b.WriteString("\r\n")
	}
	b.WriteString("--cut--\r\n")
	return []byte(b.String()), plain
}

// encoded is content in a charset, without what that cannot say.
func encoded(e interface{ Bytes([]byte) ([]byte, error) }, content []byte) (out []byte) {
	for _, c := range string(content) {
		if b, err := e.Bytes([]byte(string(c))); err == nil {
			out = append(out, b...)
		}
	}
	return out
}

// TestBody: what is found equals what a plain look at the whole text finds.
func TestBody(t *testing.T) {
	rnd := rand.New(rand.NewSource(4))
	var r search.Reader
	found := 0
	for range 400 {
		octets, plain := letter(rnd)
		m := parse(t, octets)
		for range 6 {
			text := words[rnd.Intn(len(words))]
			if n := len(plain); n > 0 && rnd.Intn(2) == 0 {
				at := rnd.Intn(n)
				text = strings.ToValidUTF8(plain[at:min(n, at+1+rnd.Intn(60))], "")
			}
			if naive(t, m.Structure(), octets, text) {
				found++
			}
			check(t, &r, m, octets, text)
			check(t, &r, m, octets, text+"#")
		}
		check(t, &r, m, octets, "")
	}
	if found < 500 {
		t.Errorf("only %d texts were there to be found", found)
	}
}

func TestHeader(t *testing.T) {
	octets := []byte("Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?Q?_aus_K=F6ln?=\r\nX-Folded: one\r\n two\r\n\tTHREE\r\n" +
		"x-raw: d\xe9j\xe0\r\nX-Empty:\r\nX-Long : " + strings.Repeat("long ", 3000) + "End\r\n\r\nX-Body: no\r\n")
	m := parse(t, octets)
	var r search.Reader
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"subject", "grüße aus KÖLN", true}, {"subject", "subject", false}, {"", "subject: grü", true}, {"x-folded", "one two\tthree", true},
		{"x-folded", "one\r", false}, {"x-raw", "DÉJÀ", true}, {"x-empty", "", true}, {"x-none", "", false}, {"x-long", "long end", true},
		{"", "threex-raw", false}, {"x-body", "no", false}, {"", "no", false}, {"x-empty", "x", false},
	} {
		for _, body := range []access.Body{access.Octets(octets), streamed{access.Octets(octets)}} {
			if got, err := r.Header(m, body, c.name, search.Fold(c.text)); got != c.want || err != nil {
				t.Errorf("%s %q: %v, %v", c.name, c.text, got, err)
			}
		}
	}
}

func TestFold(t *testing.T) {
	for _, s := range append(words, "@AZ[`az{", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGÄHIJKLMNOPQ\x80RST", "") {
		if got, want := search.Fold(s), strings.ToLower(s); string(got) != want {
			t.Errorf("%q folds to %q, not %q", s, got, want)
		}
	}
}

// FuzzBody: no message is read otherwise than by a plain look at it.
func FuzzBody(f *testing.F) {
	rnd := rand.New(rand.NewSource(5))
	for range 10 {
		octets, plain := letter(rnd)
		f.Add(octets, plain[:min(len(plain), 10)])
	}
	f.Add([]byte("Content-Type: text/html; charset=utf-16\r\n\r\n<\x00b\x00"), "b")
	f.Add([]byte("\r\n\xc3"), "Ã")
	f.Fuzz(func(t *testing.T, octets []byte, text string) {
		if !utf8.ValidString(text) {
			return
		}
		check(t, &search.Reader{}, parse(t, octets), octets, text)
	})
}
