package wire

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/index/indexpb"
)

func written(write func(w *Writer)) string {
	var out bytes.Buffer
	w := NewWriter(&out)
	write(w)
	if err := w.Flush(); err != nil {
		return err.Error()
	}
	return out.String()
}

func TestString(t *testing.T) {
	for in, want := range map[string]string{
		"":          `""`,
		`a "b" \`:   `"a \"b\" \\"`,
		"a\r\nb":    "{4}\r\na\r\nb",
		"a\x00b":    "{3}\r\na b",
		"\xff":      "{1}\r\n\xff",
		"Grüße":     "{7}\r\nGrüße",
		"tab\there": "\"tab\there\"",
	} {
		if got := written(func(w *Writer) { w.String([]byte(in)) }); got != want {
			t.Errorf("%q was written as %q, not %q", in, got, want)
		}
	}
	if got := written(func(w *Writer) { w.SetUTF8(true); w.String([]byte("Grüße")) }); got != `"Grüße"` {
		t.Errorf("got %q", got)
	}
}

// TestValue: what holds NUL is a literal8 and keeps it.
func TestValue(t *testing.T) {
	for in, want := range map[string]string{"": `""`, "a": `"a"`, "a\x00b": "~{3}\r\na\x00b", "a\nb": "{3}\r\na\nb"} {
		if got := written(func(w *Writer) { w.Value([]byte(in)) }); got != want {
			t.Errorf("%q was written as %q, not %q", in, got, want)
		}
	}
	if got := written(func(w *Writer) { w.Value(nil) }); got != "NIL" {
		t.Errorf("no value was written as %q", got)
	}
}

func TestMailboxName(t *testing.T) {
	for in, want := range map[string]string{
		"INBOX": "INBOX", "a b": `"a b"`, "Entwürfe": "Entw&APw-rfe", "nil": `"nil"`, "": `""`, "x]": `"x]"`,
	} {
		if got := written(func(w *Writer) { w.MailboxName(in) }); got != want {
			t.Errorf("%q was written as %q, not %q", in, got, want)
		}
	}
}

// TestStatusLine: nothing that comes from a peer can begin a line of ours.
func TestStatusLine(t *testing.T) {
	got := written(func(w *Writer) { w.StatusLine("a1", NO, "NONEXISTENT", "no \"x\r\n* BYE\x00ü\"") })
	if got != "a1 NO [NONEXISTENT] no \"x??* BYE????\"\r\n" && got != "a1 NO [NONEXISTENT] no \"x??* BYE???\"\r\n" {
		t.Errorf("got %q", got)
	}
}

func envelope() *indexpb.Envelope {
	addr := func(name, box string) *indexpb.Address {
		return &indexpb.Address{Name: []byte(name), Mailbox: []byte(box), Host: []byte("cac.washington.edu")}
	}
	return &indexpb.Envelope{
		Date:      []byte("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)"),
		Subject:   []byte("IMAP4rev2 WG mtg summary and minutes"),
		From:      []*indexpb.Address{addr("Terry Gray", "gray")},
		To:        []*indexpb.Address{{Mailbox: []byte("imap"), Host: []byte("cac.washington.edu")}},
		Cc:        []*indexpb.Address{{Mailbox: []byte("minutes"), Host: []byte("CNRI.Reston.VA.US")}, addr("John Klensin", "KLENSIN")},
		MessageId: []byte("<B27397-0100000@cac.washington.ed>"),
	}
}

func TestEnvelope(t *testing.T) {
	want := `("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" ` +
		`(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ` +
		`(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ` +
		`((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "cac.washington.edu")) NIL NIL ` +
		`"<B27397-0100000@cac.washington.ed>")`
	if got := written(func(w *Writer) { w.Envelope(envelope()) }); got != want {
		t.Errorf("got %s", got)
	}
}

func structure() *indexpb.Part {
	text := &indexpb.Part{Type: []byte("text"), Subtype: []byte("plain"), BodyLength: 1152, Lines: 23,
		Params: []*indexpb.Param{{Name: []byte("charset"), Value: []byte("US-ASCII")}}}
	file := &indexpb.Part{Type: []byte("application"), Subtype: []byte("pdf"), Encoding: []byte("base64"), BodyLength: 4554,
		Id: []byte("<960723163407.20117h@cac.washington.edu>"), Disposition: []byte("attachment"),
		DispositionParams: []*indexpb.Param{{Name: []byte("filename"), Value: []byte(`a "b".pdf`)}},
		Language:          [][]byte{[]byte("de"), []byte("en")}}
	inner := &indexpb.Part{Type: []byte("message"), Subtype: []byte("rfc822"), Envelope: envelope(), BodyLength: 99, Lines: 7,
		Children: []*indexpb.Part{text}}
	return &indexpb.Part{Type: []byte("multipart"), Subtype: []byte("mixed"), Children: []*indexpb.Part{text, file, inner},
		Params: []*indexpb.Param{{Name: []byte("boundary"), Value: []byte("d3438gr7324")}}}
}

func TestBodyStructure(t *testing.T) {
	env := written(func(w *Writer) { w.Envelope(envelope()) })
	want := `(("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 1152 23)` +
		`("application" "pdf" NIL "<960723163407.20117h@cac.washington.edu>" NIL "base64" 4554)` +
		`("message" "rfc822" NIL NIL NIL "7bit" 99 ` + env + ` ("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 1152 23) 7) "mixed")`
	if got := written(func(w *Writer) { w.BodyStructure(structure(), false) }); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = `(("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 1152 23 NIL NIL NIL NIL)` +
		`("application" "pdf" NIL "<960723163407.20117h@cac.washington.edu>" NIL "base64" 4554 NIL ` +
		`("attachment" ("filename" "a \"b\".pdf")) ("de" "en") NIL)` +
		`("message" "rfc822" NIL NIL NIL "7bit" 99 ` + env +
		` ("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 1152 23 NIL NIL NIL NIL) 7 NIL NIL NIL NIL)` +
		` "mixed" ("boundary" "d3438gr7324") NIL NIL NIL)`
	if got := written(func(w *Writer) { w.BodyStructure(structure(), true) }); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCopyShort: a literal whose source ends early can only end the connection.
func TestCopyShort(t *testing.T) {
	w := NewWriter(io.Discard)
	w.LiteralHead(10, false)
	if err := w.Copy(strings.NewReader("abc"), 10); err == nil || w.Flush() == nil {
		t.Errorf("a short literal went out without an error")
	}
}

func FuzzBodyStructure(f *testing.F) {
	seed, err := structure().MarshalVT()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &indexpb.Part{}
		if p.UnmarshalVT(data) != nil {
			return
		}
		for _, extended := range []bool{false, true} {
			out := written(func(w *Writer) { w.BodyStructure(p, extended) })
			checkBalanced(t, out)
		}
	})
}

// checkBalanced reads parentheses, quoted strings and literals as a client does.
func checkBalanced(t *testing.T, s string) {
	r := NewReader(strings.NewReader(s+"\r\n"), Limits{Line: 1 << 24, Literal: 1 << 24, Depth: 1000}, func() error { return nil })
	depth := 0
	for r.err == nil {
		switch c := r.peek(); {
		case c == '(':
			depth++
			r.take()
		case c == ')':
			depth--
			r.take()
		case c == '"' || c == '{':
			r.str()
		case c == '\r':
			if depth != 0 {
				t.Fatalf("parentheses do not close in %q", s)
			}
			return
		case c == ' ':
			r.take()
		default:
			r.atom()
		}
	}
	t.Fatalf("%q: %v", s, r.err)
}

func BenchmarkEnvelope(b *testing.B) {
	w, e := NewWriter(io.Discard), envelope()
	b.ReportAllocs()
	for b.Loop() {
		w.Envelope(e)
	}
}

func BenchmarkBodyStructure(b *testing.B) {
	w, p := NewWriter(io.Discard), structure()
	b.ReportAllocs()
	for b.Loop() {
		w.BodyStructure(p, true)
	}
}

func BenchmarkReadCommand(b *testing.B) {
	line := []byte("a1 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM)])\r\n")
	src := bytes.NewReader(nil)
	r := NewReader(src, DefaultLimits(), nil)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(line)
		if _, err := r.ReadCommand(); err != nil {
			b.Fatal(err)
		}
	}
}
