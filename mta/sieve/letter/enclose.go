package letter

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Enclosure is the message that another one is enclosed in (RFC 5703, section 6).
type Enclosure struct {
	Text    string   // of its first part
	Subject string   // empty: none
	Headers []string // names of fields that are taken from the enclosed message
	Date    string   // where none is taken
	From    string   // where none is taken; empty: none
}

// Enclose gives a letter of two parts: a text, and this one as it is now.
func (l *Letter) Enclose(e Enclosure) (*Letter, error) {
	inner := l.whole()
	// A delimiter that is not in the message cannot be known without reading all of it. This one is of both messages' own octets, so
	// that nobody who writes the inner one can have it in there.
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d %s", e.Text, e.Subject, e.Date, inner.size, l.fingerprint()))
	boundary := "sieve-" + hex.EncodeToString(sum[:16])

	var head bytes.Buffer
	for _, name := range []string{"Date", "From"} {
		value := map[string]string{"Date": e.Date, "From": e.From}[name]
		taken := slices.ContainsFunc(e.Headers, func(h string) bool { return equal(h, name) }) && len(l.Fields(name)) > 0
		if value != "" && !taken {
			head.WriteString(fold(name + ": " + value))
		}
	}
	if e.Subject != "" {
		head.Write(NewField("Subject", e.Subject).Raw)
	}
	for _, f := range l.fields {
		if slices.ContainsFunc(e.Headers, func(h string) bool { return equal(h, f.Name) }) && !isContent(f.Name) &&
			!equal(f.Name, "MIME-Version") && (e.Subject == "" || !equal(f.Name, "Subject")) {
			head.Write(bytes.TrimRight(f.Raw, "\r\n"))
			head.WriteString("\r\n")
		}
	}
	fmt.Fprintf(&head, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n", boundary)
	first := fmt.Sprintf("--%s\r\n%s\r\n--%[1]s\r\nContent-Type: message/rfc822\r\n\r\n", boundary, Entity(e.Text))
	tail := "\r\n--" + boundary + "--\r\n"

	t := &Text{}
	t.add(bytes.NewReader(head.Bytes()), 0, int64(head.Len()))
	t.add(strings.NewReader(first), 0, int64(len(first)))
	t.add(inner, 0, inner.size)
	t.add(bytes.NewReader([]byte(tail)), 0, int64(len(tail)))
	outer, err := New(t, t.size, l.limits)
	if err != nil {
		return nil, err
	}
	outer.changed, outer.version, outer.front = true, t, l.front
	return outer, nil
}

// fingerprint is of the header.
func (l *Letter) fingerprint() string {
	h := sha256.New()
	for _, f := range l.fields {
		h.Write(f.Raw)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Rename keeps Subject and From as Original-Subject and Original-From and puts others in their place (RFC 5703, section 5). An empty
// value leaves the field as it is.
func (l *Letter) Rename(subject, from string) {
	if subject != "" {
		l.rename("Subject", "Original-Subject")
		l.Add("Subject", subject, true)
	}
	if from != "" {
		l.rename("From", "Original-From")
		l.Add("From", from, true)
	}
}
