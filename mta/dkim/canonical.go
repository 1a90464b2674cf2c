package dkim

import (
	"crypto/sha256"
	"hash"
	"strings"
)

// Form is a canonical form (RFC 6376, section 3.4).
type Form string

// The forms.
const (
	Simple  Form = "simple"
	Relaxed Form = "relaxed"
)

// Field gives a field in the form, ending in CRLF.
func (f Form) Field(text string) string {
	if f == Simple {
		return text
	}
	name, value, _ := strings.Cut(text, ":")
	var b strings.Builder
	b.Grow(len(text))
	b.WriteString(strings.ToLower(strings.Trim(name, blanks)))
	b.WriteByte(':')
	blank, begun := false, false
	for i := 0; i < len(value); i++ {
		if c := value[i]; strings.IndexByte(blanks, c) < 0 {
			if blank && begun {
				b.WriteByte(' ')
			}
			b.WriteByte(c)
			blank, begun = false, true
			continue
		}
		blank = true
	}
	b.WriteString("\r\n")
	return b.String()
}

// blanks is white space within a header, and the line ends of its folds.
const blanks = " \t\r\n"

// body digests a body in a canonical form, line by line.
type body struct {
	form  Form
	sha   hash.Hash
	lines int  // ends of lines that are held back: those at the end of a body do not count
	blank bool // white space that is held back: that at the end of a line does not count
	begun bool // there was more than empty lines
}

func newBody(form Form) *body { return &body{form: form, sha: sha256.New()} }

// add takes a piece of a line, without its end.
func (b *body) add(p []byte) {
	if b.form == Simple {
		b.write(p)
		return
	}
	for len(p) > 0 {
		n := 0
		for n < len(p) && !isBlank(p[n]) || n+1 < len(p) && p[n] == ' ' && !isBlank(p[n+1]) && n > 0 {
			n++
		}
		if n > 0 {
			blank := b.blank
			b.blank = false
			if blank {
				b.write([]byte{' '})
			}
			b.write(p[:n])
			p = p[n:]
		}
		for len(p) > 0 && isBlank(p[0]) {
			b.blank, p = true, p[1:]
		}
	}
}

func (b *body) write(p []byte) {
	if len(p) == 0 {
		return
	}
	for ; b.lines > 0; b.lines-- {
		b.sha.Write([]byte("\r\n"))
	}
	b.begun = true
	b.sha.Write(p)
}

func (b *body) endLine() {
	b.blank = false
	b.lines++
}

// sum ends the body: with one end of line, which a relaxed body that is empty lacks (RFC 6376, sections 3.4.3 and 3.4.4).
func (b *body) sum() (d Digest) {
	if b.form == Simple || b.begun {
		b.sha.Write([]byte("\r\n"))
	}
	b.sha.Sum(d[:0])
	return d
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
