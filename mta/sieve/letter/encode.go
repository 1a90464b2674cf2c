package letter

import (
	"bytes"
	"mime"
	"mime/quotedprintable"
	"strings"
)

// encodeWords gives a text as it stands in a field (RFC 2047): what a field cannot hold becomes a space.
func encodeWords(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	return mime.QEncoding.Encode("utf-8", text)
}

// maxLine is how long a line of a field is made where it has white space to fold at (RFC 5322, section 2.1.1).
const maxLine = 78

// fold folds a field at its white space and ends it.
func fold(field string) string {
	var b strings.Builder
	for len(field) > maxLine {
		i := strings.LastIndexByte(field[:maxLine], ' ')
		if i <= 0 || strings.TrimSpace(field[:i]) == "" || strings.HasSuffix(field[:i], ":") {
			next := strings.IndexByte(field[maxLine:], ' ')
			if next < 0 {
				break
			}
			i = maxLine + next
		}
		if strings.TrimSpace(field[i:]) == "" {
			break // nothing but white space may not be on a line of its own
		}
		b.WriteString(field[:i])
		b.WriteString("\r\n")
		field = field[i:]
	}
	return b.String() + field + "\r\n"
}

// Entity makes a MIME entity, its header and all, of a UTF-8 text.
func Entity(text string) []byte {
	var b bytes.Buffer
	b.WriteString("Content-Type: text/plain; charset=utf-8\r\n")
	if isPlain(text) {
		b.WriteString("\r\n" + text)
		return b.Bytes()
	}
	b.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
	w := quotedprintable.NewWriter(&b)
	w.Write([]byte(text)) //nolint:errcheck // a Buffer takes everything
	w.Close()
	return b.Bytes()
}

// isPlain tells whether a text can go without a transfer encoding: ASCII, in lines that SMTP takes.
func isPlain(text string) bool {
	line := 0
	for i := 0; i < len(text); i++ {
		line++
		switch c := text[i]; {
		case c >= 0x80 || c == 0 || c == '\r' && (i+1 == len(text) || text[i+1] != '\n') || line > 900:
			return false
		case c == '\n':
			line = 0
		}
	}
	return true
}
