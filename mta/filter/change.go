package filter

import (
	"bytes"
	"strings"
)

// Verb is what a Change does.
type Verb byte

// The verbs.
const (
	Add    Verb = iota + 1 // a field below the others
	Insert                 // a field above that at Index, 0 is on top
	Set                    // the field of the name at Index, from 1 on, gets Value; it is added where there is none
	Remove                 // the field of the name at Index, from 1 on, or from -1 upwards from the lowest; 0: all of the name
)

// Change is one of the header.
type Change struct {
	Verb  Verb
	Name  string
	Value string // lines are parted by \n, with or without \r
	Index int
}

// maxField is how long a field may be that a filter writes.
const maxField = 64 << 10

// good reports whether a change can be made at all: the name is one (RFC 5322, section 2.2) and the value is not too long.
func (c Change) good() bool {
	for i := 0; i < len(c.Name); i++ {
		if b := c.Name[i]; b <= ' ' || b > '~' || b == ':' {
			return false
		}
	}
	return c.Name != "" && len(c.Name)+len(c.Value) <= maxField && c.Verb >= Add && c.Verb <= Remove
}

// text is the field as it stands in a message. However the value is made, it is one field: each line of it but the first begins with
// a blank, none is empty, and there is no NUL or lone CR in it.
func (c Change) text() []byte {
	var b bytes.Buffer
	b.WriteString(c.Name)
	b.WriteByte(':')
	first := true
	for line := range strings.SplitSeq(c.Value, "\n") {
		line = strings.Map(func(r rune) rune {
			if r == '\r' || r == 0 {
				return -1
			}
			return r
		}, strings.TrimSuffix(line, "\r"))
		switch {
		case first && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t"):
			b.WriteByte(' ')
		case first:
		case strings.Trim(line, " \t") == "":
			continue // a line of blanks would look like the end of the header to some
		case line[0] != ' ' && line[0] != '\t':
			b.WriteString("\r\n ")
		default:
			b.WriteString("\r\n")
		}
		b.WriteString(line)
		first = false
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

func equalFold(a, b string) bool { return a != "" && strings.EqualFold(a, b) }
