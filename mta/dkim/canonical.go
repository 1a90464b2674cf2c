package dkim

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"slices"
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
	return string(f.appendField(make([]byte, 0, len(text)+2), text))
}

// appendField appends a field in the form, ending in CRLF.
func (f Form) appendField(b []byte, text string) []byte {
	if f == Simple {
		return append(b, text...)
	}
	name, value, _ := strings.Cut(text, ":")
	b = append(b, strings.ToLower(strings.Trim(name, blanks))...)
	b = append(b, ':')
	blank, begun := false, false
	for i := 0; i < len(value); i++ {
		if c := value[i]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			if blank && begun {
				b = append(b, ' ')
			}
			b = append(b, c)
			blank, begun = false, true
			continue
		}
		blank = true
	}
	return append(b, "\r\n"...)
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

	length int64            // octets that were digested
	cuts   []int64          // lengths at which a digest is taken, ascending
	taken  map[int64]Digest // at these

	marks   [3]byte // a space and CRLF
	pending []byte  // octets that the digest has yet to be given: it takes many at once for less than it takes few
}

// maxPending is how many octets are given to the digest at once.
const maxPending = 2 << 10

// bodiesFor gives a body for each form that is needed.
func bodiesFor(needs []Need) (list []*body) {
	for _, n := range needs {
		i := slices.IndexFunc(list, func(b *body) bool { return b.form == n.Form })
		if i < 0 {
			i = len(list)
			list = append(list, &body{form: n.Form, sha: sha256.New(), taken: map[int64]Digest{}, marks: [3]byte{' ', '\r', '\n'}, pending: make([]byte, 0, maxPending)})
		}
		if n.Length != All {
			list[i].cuts = append(list[i].cuts, n.Length)
		}
	}
	for _, b := range list {
		slices.Sort(b.cuts)
		b.cuts = slices.Compact(b.cuts)
	}
	return list
}

// add takes a piece of a line, without its end.
func (b *body) add(p []byte) {
	if b.form == Simple {
		b.write(p)
		return
	}
	if len(p) > 0 && !isBlank(p[0]) && !isBlank(p[len(p)-1]) && bytes.IndexByte(p, '\t') < 0 && !bytes.Contains(p, []byte("  ")) {
		b.word(p) // as most lines are
		return
	}
	for len(p) > 0 {
		n := 0
		for n < len(p) && !isBlank(p[n]) || n+1 < len(p) && p[n] == ' ' && !isBlank(p[n+1]) && n > 0 {
			n++
		}
		if n > 0 {
			b.word(p[:n])
			p = p[n:]
		}
		for len(p) > 0 && isBlank(p[0]) {
			b.blank, p = true, p[1:]
		}
	}
}

// word takes octets that neither begin nor end with a blank, and stay as they are.
func (b *body) word(p []byte) {
	if b.blank {
		b.blank = false
		b.write(b.marks[:1])
	}
	b.write(p)
}

func (b *body) write(p []byte) {
	if len(p) == 0 {
		return
	}
	for ; b.lines > 0; b.lines-- {
		b.digest(b.marks[1:])
	}
	b.begun = true
	b.digest(p)
}

// digest takes octets of the form into the digest, and notes what it is at the cuts.
func (b *body) digest(p []byte) {
	for len(b.cuts) > 0 && b.length+int64(len(p)) >= b.cuts[0] {
		n := b.cuts[0] - b.length
		b.give(p[:n])
		b.flush()
		b.length, p = b.cuts[0], p[n:]
		b.taken[b.cuts[0]] = Digest(b.sha.Sum(nil))
		b.cuts = b.cuts[1:]
	}
	b.give(p)
	b.length += int64(len(p))
}

// give has octets digested, sooner or later.
func (b *body) give(p []byte) {
	if len(b.pending)+len(p) > maxPending {
		b.flush()
	}
	if len(p) > maxPending {
		b.sha.Write(p)
		return
	}
	b.pending = append(b.pending, p...)
}

// flush digests what is pending.
func (b *body) flush() {
	b.sha.Write(b.pending)
	b.pending = b.pending[:0]
}

func (b *body) endLine() {
	b.blank = false
	b.lines++
}

// sum ends the body: with one end of line, which a relaxed body that is empty lacks (RFC 6376, sections 3.4.3 and 3.4.4).
func (b *body) sum() (d Digest) {
	b.digest(nil) // a cut at 0
	if b.form == Simple || b.begun {
		b.digest(b.marks[1:])
	}
	b.flush()
	b.sha.Sum(d[:0])
	return d
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
