package harness

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
)

// Message is one message of the corpus.
type Message struct {
	ID     string // its Message-ID, with angle brackets
	From   string // an address
	Raw    []byte // RFC 5322, CRLF line ends, the Message-ID first
	Digest Digest
}

// Digest tells whether a message is read as it was sent: SHA-256 from the Message-ID field to the
// end. Servers put trace fields in front of that.
type Digest [sha256.Size]byte

// Corpus makes messages that look like real mail and are the same for the same seed: plain text in
// several languages, HTML alternatives, attachments, now and then a few MiB.
type Corpus struct {
	Seed   uint64
	Domain string // of Message-IDs; senders are elsewhere
	Large  bool   // one message in 150 has 1 to 3 MiB
}

// firstDate is when the first message was written.
var firstDate = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// Message makes the n-th message, addressed to to.
func (c Corpus) Message(n int, to string) Message {
	r := rand.New(rand.NewPCG(c.Seed, uint64(n)))
	person := people[r.IntN(len(people))]
	m := Message{ID: fmt.Sprintf("<%016x.%d@%s>", r.Uint64(), n, c.Domain), From: person.address}
	lang := languages[r.IntN(len(languages))]
	var b bytes.Buffer
	fmt.Fprintf(&b, "Message-ID: %s\r\n", m.ID)
	fmt.Fprintf(&b, "Date: %s\r\n", firstDate.Add(time.Duration(n)*97*time.Second).Format(time.RFC1123Z))
	fmt.Fprintf(&b, "From: %s <%s>\r\nTo: <%s>\r\n", mime.QEncoding.Encode("utf-8", person.name), person.address, to)
	fmt.Fprintf(&b, "Subject: %s\r\n", mime.QEncoding.Encode("utf-8", words(r, lang, 3+r.IntN(6))))
	if n > 0 && r.IntN(3) == 0 {
		fmt.Fprintf(&b, "In-Reply-To: <%d.earlier@%s>\r\nReferences: <%d.earlier@%s>\r\n", n-1, c.Domain, n-1, c.Domain)
	}
	fmt.Fprintf(&b, "User-Agent: corpus/%d\r\nMIME-Version: 1.0\r\n", c.Seed)
	switch kind := r.IntN(100); {
	case c.Large && n%150 == 149:
		attachment(&b, r, lang, 1<<20+r.IntN(2<<20))
	case kind < 55:
		plain(&b, r, lang)
	case kind < 85:
		alternative(&b, r, lang)
	default:
		attachment(&b, r, lang, 2<<10+r.IntN(60<<10))
	}
	m.Raw = b.Bytes()
	m.Digest = sha256.Sum256(m.Raw)
	return m
}

// ReadDigest gives the Message-ID and the digest of a message as it is read back, "" for one that
// has no Message-ID field.
func ReadDigest(raw []byte) (id string, digest Digest) {
	const field = "Message-ID: "
	start := 0
	if !bytes.HasPrefix(raw, []byte(field)) {
		at := bytes.Index(raw, []byte("\r\n"+field))
		if at < 0 {
			return "", sha256.Sum256(raw)
		}
		start = at + 2
	}
	line, _, _ := bytes.Cut(raw[start+len(field):], []byte("\r\n"))
	return string(line), sha256.Sum256(raw[start:])
}

func plain(b *bytes.Buffer, r *rand.Rand, lang []string) {
	b.WriteString("Content-Type: text/plain; charset=utf-8\r\n")
	if r.IntN(2) == 0 {
		b.WriteString("Content-Transfer-Encoding: 8bit\r\n\r\n")
		b.WriteString(text(r, lang, 4+r.IntN(60)))
		return
	}
	b.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
	quote(b, text(r, lang, 4+r.IntN(60)))
}

func alternative(b *bytes.Buffer, r *rand.Rand, lang []string) {
	boundary := fmt.Sprintf("alt_%x", r.Uint64())
	body := text(r, lang, 5+r.IntN(40))
	fmt.Fprintf(b, "Content-Type: multipart/alternative; boundary=%q\r\n\r\n", boundary)
	fmt.Fprintf(b, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary)
	quote(b, body)
	fmt.Fprintf(b, "\r\n--%s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary)
	quote(b, "<html><body><p>"+strings.ReplaceAll(body, "\r\n", "</p>\r\n<p>")+"</p></body></html>\r\n")
	fmt.Fprintf(b, "\r\n--%s--\r\n", boundary)
}

func attachment(b *bytes.Buffer, r *rand.Rand, lang []string, size int) {
	boundary := fmt.Sprintf("mix_%x", r.Uint64())
	fmt.Fprintf(b, "Content-Type: multipart/mixed; boundary=%q\r\n\r\nThis is a message in parts.\r\n", boundary)
	fmt.Fprintf(b, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s\r\n", boundary, text(r, lang, 5))
	fmt.Fprintf(b, "--%s\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename*=utf-8''%%C3%%9Cbersicht-%d.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n", boundary, size)
	data := make([]byte, size)
	for i := 0; i+8 <= len(data); i += 8 {
		v := r.Uint64()
		for j := range 8 {
			data[i+j] = byte(v >> (8 * j))
		}
	}
	for encoded := base64.StdEncoding.EncodeToString(data); encoded != ""; {
		line := encoded[:min(76, len(encoded))]
		encoded = encoded[len(line):]
		b.WriteString(line + "\r\n")
	}
	fmt.Fprintf(b, "--%s--\r\n", boundary)
}

// quote writes text in quoted-printable.
func quote(b *bytes.Buffer, s string) {
	w := quotedprintable.NewWriter(b)
	_, _ = w.Write([]byte(s)) // into memory
	_ = w.Close()
}

// text makes lines of running text, some of them starting with a dot as SMTP must not mind.
func text(r *rand.Rand, lang []string, lines int) string {
	var b strings.Builder
	for range lines {
		switch r.IntN(40) {
		case 0:
			b.WriteString(".")
		case 1:
			b.WriteString("> ")
		case 2:
			b.WriteString("\r\n")
		}
		b.WriteString(words(r, lang, 6+r.IntN(6)))
		b.WriteString(".\r\n")
	}
	return b.String()
}

func words(r *rand.Rand, lang []string, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = lang[r.IntN(len(lang))]
	}
	return strings.Join(out, " ")
}
