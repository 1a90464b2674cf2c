package message

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rookery-mail/rookery/index/indexpb"
)

// parse reads a message written in pieces of n octets; 0 is all at once.
func parse(limits Limits, raw []byte, n int) *Parsed {
	p := NewParser(limits)
	for n > 0 && len(raw) > n {
		p.Write(raw[:n])
		raw = raw[n:]
	}
	p.Write(raw)
	return p.Finish()
}

// checkPart holds a part and its children against what every structure promises.
func checkPart(t *testing.T, part *indexpb.Part, from, to uint64) (parts int) {
	t.Helper()
	end := part.BodyOffset + part.BodyLength
	if part.HeaderOffset < from || part.BodyOffset < part.HeaderOffset || end < part.BodyOffset || end > to {
		t.Fatalf("part at %d, body %d to %d, is not within %d to %d",
			part.HeaderOffset, part.BodyOffset, end, from, to)
	}
	if len(part.Type) == 0 || len(part.Subtype) == 0 {
		t.Fatalf("part at %d has no type", part.HeaderOffset)
	}
	if part.Lines > part.BodyLength {
		t.Fatalf("part at %d has %d lines in %d octets", part.HeaderOffset, part.Lines, part.BodyLength)
	}
	multi, message := string(part.Type) == "multipart", isMessage(part)
	switch {
	case multi && len(part.Children) == 0,
		message && (len(part.Children) != 1 || part.Envelope == nil),
		!multi && !message && (len(part.Children) != 0 || part.Envelope != nil):
		t.Fatalf("%s/%s at %d has %d children", part.Type, part.Subtype, part.HeaderOffset, len(part.Children))
	}
	parts = 1
	at := part.BodyOffset
	for _, child := range part.Children {
		parts += checkPart(t, child, at, end)
		at = child.BodyOffset + child.BodyLength
	}
	return parts
}

// checkTexts looks for octets that IMAP cannot send.
func checkTexts(t *testing.T, m protoreflect.Message) {
	t.Helper()
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() == protoreflect.BytesKind && f.IsList():
			for i := range v.List().Len() {
				checkText(t, f, v.List().Get(i).Bytes())
			}
		case f.Kind() == protoreflect.BytesKind:
			checkText(t, f, v.Bytes())
		case f.Kind() == protoreflect.MessageKind && f.IsList():
			for i := range v.List().Len() {
				checkTexts(t, v.List().Get(i).Message())
			}
		case f.Kind() == protoreflect.MessageKind:
			checkTexts(t, v.Message())
		}
		return true
	})
}

func checkText(t *testing.T, f protoreflect.FieldDescriptor, text []byte) {
	t.Helper()
	if bytes.ContainsAny(text, "\r\n\x00") {
		t.Fatalf("%s holds a line end or NUL: %q", f.Name(), text)
	}
}

func checkParsed(t *testing.T, limits Limits, raw []byte) {
	t.Helper()
	want := parse(limits, raw, 0)
	if want.Size != uint64(len(raw)) || want.HeaderSize > want.Size {
		t.Fatalf("size %d, header %d of %d octets", want.Size, want.HeaderSize, len(raw))
	}
	limits = limits.withDefaults()
	if n := checkPart(t, want.Structure, 0, want.Size); n > limits.MaxParts {
		t.Fatalf("%d parts, limit %d", n, limits.MaxParts)
	}
	checkTexts(t, want.Structure.ProtoReflect())
	checkTexts(t, want.Envelope.ProtoReflect())
	lines := uint64(bytes.Count(raw[want.Structure.BodyOffset:], []byte("\n")))
	if want.Structure.Lines != lines {
		t.Fatalf("top part has %d lines, told %d", lines, want.Structure.Lines)
	}
	for _, n := range []int{1, 2, 3, 7, 64} {
		got := parse(limits, raw, n)
		if !proto.Equal(got.Envelope, want.Envelope) || !proto.Equal(got.Structure, want.Structure) ||
			got.HeaderSize != want.HeaderSize || got.Size != want.Size || got.MessageID != want.MessageID ||
			!got.SentDate.Equal(want.SentDate) {
			t.Fatalf("in pieces of %d octets:\n%v\n%v\nat once:\n%v\n%v", n,
				got.Envelope, got.Structure, want.Envelope, want.Structure)
		}
	}
}

func FuzzParser(f *testing.F) {
	for _, s := range []string{
		"",
		"\n",
		"Subject: hi\n\nbody\n",
		"Subject: hi\r\n\r\nbody\r\n",
		"no header at all",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n--b",
		"Content-Type: multipart/digest; boundary=\"a b\"\n\n--a b \n\nSubject: x\n\ny\n--a b--junk\nepilogue",
		"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\nx\n--a\n\ny\n--a--",
		"Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n--b--\n",
		"From: \"x\" <a@b>, c: d@e, f;\nTo: (x\nDate: Mon, 1 Jan 2024 10:00:00 +0100\n\n",
		"Content-Type: text/plain; a*0*=utf-8''x; a*1=\"y\\\"z\n x\"\n\n",
		strings.Repeat("Content-Type: multipart/mixed; boundary=b\n\n--b\n", 12),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkParsed(t, Limits{}, raw)
		checkParsed(t, Limits{MaxDepth: 2, MaxParts: 4, EnvelopeBytes: 40, StructureBytes: 40}, raw)
	})
}
