package dkim

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// FieldName is that of the field with a signature.
const FieldName = "DKIM-Signature"

// Options say how Sign signs.
type Options struct {
	Key  Key
	Time time.Time // of the signature
	// Names are the fields to be signed, each as often as it is to be covered; nil: Names of the header.
	Names []string
}

// oversigned are covered once more than they are there, so that none can be added (RFC 6376, section 8.15).
func oversigned() []string {
	return []string{"From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
}

// covered are covered with one more where they are there. Lists and resenders add them to a message that they
// otherwise leave as it is, which is not to break its signature.
func covered() []string {
	return []string{"Sender", "Content-ID", "Content-Description", "Resent-Date", "Resent-From", "Resent-To", "Resent-Cc", "Resent-Message-ID",
		"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive", "Autocrypt"}
}

// Names are the fields that a signature covers by default, as they stand in its h= tag (RFC 6376, section 5.4.1).
func (h Header) Names() []string {
	var out []string
	add := func(name string, count int) {
		for range count {
			out = append(out, name)
		}
	}
	for _, name := range oversigned() {
		add(name, h.Count(name)+1)
	}
	for _, name := range covered() {
		if n := h.Count(name); n > 0 {
			add(name, n+1)
		}
	}
	return out
}

// Sign gives the field that signs the message, ending in CRLF, in the relaxed forms.
func (m *Message) Sign(o Options) (string, error) {
	if _, ok := m.Header.First("From"); !ok {
		return "", fmt.Errorf("it has no From: %w", ErrHeader)
	}
	names := o.Names
	if names == nil {
		names = m.Header.Names()
	}
	field := Compose(FieldName, Tags{{"v", "1"}, {"a", o.Key.Algorithm()}, {"c", "relaxed/relaxed"}, {"d", o.Key.Domain}, {"s", o.Key.Selector},
		{"t", strconv.FormatInt(o.Time.Unix(), 10)}, {"h", strings.Join(names, ":")}, {"bh", base64.StdEncoding.EncodeToString(m.Relaxed[:])}})
	var covers []string
	for _, f := range m.Header.Pick(names) {
		covers = append(covers, f.Text)
	}
	return o.Key.Finish(covers, field)
}

// maxColumn is where fields are folded (RFC 5322, section 2.1.1).
const maxColumn = 76

// Compose gives a field with a tag list, folded, which ends with an empty b= tag and without CRLF: Finish fills that.
func Compose(name string, tags Tags) string {
	f := folder{}
	f.add(name + ":")
	for _, t := range tags {
		if t.Name != "h" {
			f.add(" " + t.Name + "=" + t.Value + ";")
			continue
		}
		for i, part := range strings.Split(t.Value, ":") {
			if i == 0 {
				f.add(" " + t.Name + "=" + part)
			} else {
				f.add(":" + part)
			}
		}
		f.add(";")
	}
	f.add(" b=")
	return f.text.String()
}

// folder writes a field in pieces, and folds between them.
type folder struct {
	text   strings.Builder
	column int
}

func (f *folder) add(piece string) {
	if f.column > 1 && f.column+len(piece) > maxColumn {
		f.text.WriteString("\r\n\t")
		f.column = 1
		piece = strings.TrimPrefix(piece, " ")
	}
	f.text.WriteString(piece)
	f.column += len(piece)
}

// Finish signs fields, in their order, and behind them the field that Compose gave; it returns that with its b= tag
// filled, ending in CRLF (RFC 6376, section 3.7).
func (k Key) Finish(covers []string, field string) (string, error) {
	sig, err := k.sign(digest(Relaxed, covers, field))
	if err != nil {
		return "", fmt.Errorf("sign for %s with key %s: %w", k.Domain, k.Selector, err)
	}
	text := base64.StdEncoding.EncodeToString(sig)
	f := folder{column: len(field) - strings.LastIndexByte(field, '\n') - 1}
	f.text.WriteString(field)
	for len(text) > 0 {
		n := min(len(text), max(maxColumn-f.column, 0))
		if n == 0 {
			f.text.WriteString("\r\n\t")
			f.column = 1
			continue
		}
		f.text.WriteString(text[:n])
		f.column += n
		text = text[n:]
	}
	return f.text.String() + "\r\n", nil
}

// digest is what is signed: the fields, and the one with the signature without the signature and without its CRLF.
func digest(form Form, covers []string, field string) (d Digest) {
	sha := sha256.New()
	var b []byte
	for _, text := range covers {
		b = form.appendField(b[:0], text)
		sha.Write(b)
	}
	if !strings.HasSuffix(field, "\r\n") {
		field += "\r\n"
	}
	sha.Write([]byte(strings.TrimSuffix(form.Field(WithoutSignature(field)), "\r\n")))
	sha.Sum(d[:0])
	return d
}
