package sieve

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// text is a string of a script with the places of its variables (RFC 5229, section 3).
type text struct {
	literal string  // all of it where there are no pieces
	pieces  []piece // nil: a constant
}

// piece is octets as they are, or a variable.
type piece struct {
	literal string
	name    string // of a variable in lower case; "global." in front of one that scripts share
	number  int    // of a match variable, where name is empty and match set
	match   bool
}

func (t text) constant() bool { return t.pieces == nil }

// maxExpanded is how long a string with variables may become, in octets.
const maxExpanded = 256 << 10

// errLong says that maxExpanded is not enough.
var errLong = errors.New("a string with variables becomes too long")

// expand puts the values of variables in.
func (m *machine) expand(t text) (string, error) {
	if t.pieces == nil {
		return t.literal, nil
	}
	var b strings.Builder
	for _, p := range t.pieces {
		value := p.literal
		switch {
		case p.match:
			value = ""
			if p.number < len(m.frame.captures) {
				value = cut(m.frame.captures[p.number], m.limits.Variable)
			}
		case p.name != "":
			value = m.variable(p.name)
		}
		if err := m.budget.Spend(1 + len(value)); err != nil {
			return "", err
		}
		if b.Len()+len(value) > maxExpanded {
			return "", errLong
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

// expandAll is expand for many.
func (m *machine) expandAll(list []text) ([]string, error) {
	out := make([]string, len(list))
	total := 0
	for i, t := range list {
		var err error
		if out[i], err = m.expand(t); err != nil {
			return nil, err
		}
		if !t.constant() {
			if total += len(out[i]); total > 4*maxExpanded {
				return nil, errLong
			}
		}
	}
	return out, nil
}

// text compiles a string.
func (c *compiler) text(s syntax.String) (text, *Error) {
	literal := s.Text
	if c.enabled["encoded-character"] {
		var err *Error
		if literal, err = decodeCharacters(s); err != nil {
			return text{}, err
		}
	}
	if !c.enabled["variables"] || !strings.Contains(literal, "${") {
		return text{literal: literal}, nil
	}
	t := text{literal: literal}
	rest := literal
	for rest != "" {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			break
		}
		p, ok, err := c.reference(rest[i+2:i+end], s)
		if err != nil {
			return text{}, err
		}
		if !ok { // no reference after all; another one may begin within
			i += 2
			t.pieces = append(t.pieces, piece{literal: rest[:i]})
			rest = rest[i:]
			continue
		}
		if i > 0 {
			t.pieces = append(t.pieces, piece{literal: rest[:i]})
		}
		t.pieces = append(t.pieces, p)
		rest = rest[i+end+1:]
	}
	if t.pieces != nil && rest != "" {
		t.pieces = append(t.pieces, piece{literal: rest})
	}
	return t, nil
}

// reference reads what stands in "${" and "}".
func (c *compiler) reference(name string, s syntax.String) (piece, bool, *Error) {
	if name != "" && strings.Trim(name, "0123456789") == "" {
		n, err := strconv.Atoi(name)
		if err != nil || n > 99 {
			n = 99 // no such match variable: empty
		}
		return piece{match: true, number: n}, true, nil
	}
	if !isVariable(name) {
		return piece{}, false, nil
	}
	name = strings.ToLower(name)
	if space, _, ok := strings.Cut(name, "."); ok && (space != "global" || !c.enabled["include"]) {
		return piece{}, false, c.unknown(s.Pos, "the variable %s is of a namespace that is not there", quote(name))
	}
	return piece{name: name}, true, nil
}

// isVariable tells whether a text is the name of a variable: identifiers with dots between.
func isVariable(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		for i, r := range part {
			letter := 'a' <= r|0x20 && r|0x20 <= 'z' || r == '_'
			if !letter && (i == 0 || r < '0' || r > '9') {
				return false
			}
		}
		if part == "" {
			return false
		}
	}
	return true
}

// texts compiles strings.
func (c *compiler) texts(a *syntax.Argument) ([]text, *Error) {
	list := make([]text, len(a.Strings))
	for i, s := range a.Strings {
		var err *Error
		if list[i], err = c.text(s); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// one compiles a single string.
func (c *compiler) one(a *syntax.Argument) (text, *Error) { return c.text(a.Strings[0]) }

// constant gives a single string that may hold no variables.
func (c *compiler) constant(a *syntax.Argument) (string, *Error) {
	t, err := c.one(a)
	if err == nil && !t.constant() {
		err = syntax.Errorf(a.Pos, "no variables are allowed here")
	}
	return t.literal, err
}

// decodeCharacters undoes "${hex:…}" and "${unicode:…}" (RFC 5228, section 2.4.2.4). What does not have that form stays.
func decodeCharacters(s syntax.String) (string, *Error) {
	var b strings.Builder
	rest := s.Text
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			break
		}
		kind, codes, colon := strings.Cut(rest[i+2:i+end], ":")
		decoded, ok, wrong := "", false, ""
		if colon {
			decoded, ok, wrong = decodeCodes(strings.ToLower(kind), strings.Fields(codes))
		}
		if wrong != "" {
			return "", syntax.Errorf(s.Pos, "%s is no character", quote(wrong))
		}
		if ok {
			b.WriteString(rest[:i])
			b.WriteString(decoded)
			rest = rest[i+end+1:]
			continue
		}
		b.WriteString(rest[:i+2])
		rest = rest[i+2:]
	}
	b.WriteString(rest)
	if !utf8.ValidString(b.String()) {
		return "", syntax.Errorf(s.Pos, "the encoded characters are not UTF-8")
	}
	return b.String(), nil
}

// decodeCodes decodes numbers; wrong is one that stands for no character.
func decodeCodes(kind string, codes []string) (decoded string, ok bool, wrong string) {
	var b []byte
	for _, code := range codes {
		n, err := strconv.ParseUint(code, 16, 64)
		switch {
		case kind == "hex" && len(code) <= 2 && err == nil:
			b = append(b, byte(n))
		case kind == "unicode" && (err == nil || errors.Is(err, strconv.ErrRange)):
			if err != nil || n > utf8.MaxRune || n >= 0xd800 && n < 0xe000 {
				return "", false, code
			}
			b = utf8.AppendRune(b, rune(n))
		default:
			return "", false, ""
		}
	}
	return string(b), len(codes) > 0 && (kind == "hex" || kind == "unicode"), ""
}
