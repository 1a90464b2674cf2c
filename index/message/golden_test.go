package message

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/index/indexpb"
)

var update = flag.Bool("update", false, "rewrite the .golden files")

// TestGolden reads every testdata/*.eml and compares what is understood with the .golden file beside it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no messages: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".eml"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			checkParsed(t, Limits{}, raw)
			got := describe(raw, parse(Limits{}, raw, 0))
			golden := strings.TrimSuffix(file, ".eml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// describe tells all that was understood of a message.
func describe(raw []byte, p *Parsed) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "size %d, header %d\n", p.Size, p.HeaderSize)
	if !p.SentDate.IsZero() {
		fmt.Fprintf(&b, "sent %s\n", p.SentDate.Format(time.RFC3339))
	}
	if p.MessageID != "" {
		fmt.Fprintf(&b, "id %s\n", p.MessageID)
	}
	describeEnvelope(&b, "", p.Envelope)
	describePart(&b, raw, "", "1", p.Structure)
	return b.String()
}

func describeEnvelope(b *bytes.Buffer, indent string, e *indexpb.Envelope) {
	text := func(name string, value []byte) {
		if value != nil {
			fmt.Fprintf(b, "%s  %s %q", indent, name, value)
			if s := DecodeHeader(value); s != string(value) {
				fmt.Fprintf(b, " = %q", s)
			}
			b.WriteByte('\n')
		}
	}
	list := func(name string, list []*indexpb.Address) {
		for _, a := range list {
			fmt.Fprintf(b, "%s  %s %s\n", indent, name, describeAddress(a))
		}
	}
	text("date", e.Date)
	text("subject", e.Subject)
	list("from", e.From)
	list("sender", e.Sender)
	list("reply-to", e.ReplyTo)
	list("to", e.To)
	list("cc", e.Cc)
	list("bcc", e.Bcc)
	text("in-reply-to", e.InReplyTo)
	text("message-id", e.MessageId)
}

func describeAddress(a *indexpb.Address) string {
	switch {
	case a.Mailbox == nil:
		return "group ends"
	case a.Host == nil:
		return fmt.Sprintf("group %q", a.Mailbox)
	case a.Name == nil:
		return fmt.Sprintf("%q @ %q", a.Mailbox, a.Host)
	}
	return fmt.Sprintf("%q @ %q, %q", a.Mailbox, a.Host, a.Name)
}

func describePart(b *bytes.Buffer, raw []byte, indent, number string, p *indexpb.Part) {
	fmt.Fprintf(b, "%s%s %s/%s", indent, number, p.Type, p.Subtype)
	for _, a := range p.Params {
		fmt.Fprintf(b, "; %s=%q", a.Name, a.Value)
	}
	fmt.Fprintf(b, "\n%s  at %d, body %d + %d, %d lines\n", indent, p.HeaderOffset, p.BodyOffset, p.BodyLength, p.Lines)
	for _, f := range []struct {
		name  string
		value []byte
	}{{"id", p.Id}, {"description", p.Description}, {"encoding", p.Encoding}, {"md5", p.Md5}, {"location", p.Location}} {
		if f.value != nil {
			fmt.Fprintf(b, "%s  %s %q\n", indent, f.name, f.value)
		}
	}
	if p.Disposition != nil {
		fmt.Fprintf(b, "%s  disposition %s", indent, p.Disposition)
		for _, a := range p.DispositionParams {
			fmt.Fprintf(b, "; %s=%q", a.Name, a.Value)
		}
		if name, ok := ParamValue(p.DispositionParams, "filename"); ok {
			fmt.Fprintf(b, ", file %q", name)
		}
		b.WriteByte('\n')
	}
	if p.Language != nil {
		fmt.Fprintf(b, "%s  language %q\n", indent, p.Language)
	}
	if p.Envelope != nil {
		describeEnvelope(b, indent, p.Envelope)
	}
	if len(p.Children) == 0 {
		body := raw[p.BodyOffset : p.BodyOffset+p.BodyLength]
		var text bytes.Buffer
		text.ReadFrom(DecodeText(p, bytes.NewReader(body), TextOnly))
		fmt.Fprintf(b, "%s  text %q\n", indent, text.Bytes()[:min(text.Len(), 200)])
	}
	for i, c := range p.Children {
		describePart(b, raw, indent+"  ", fmt.Sprintf("%s.%d", number, i+1), c)
	}
}
