package spf

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// macros is a macro-string that was read (RFC 7208, section 7.1): literals and what is put in place of macros. It is never nil
// but for what is not there.
type macros []piece

// piece is a literal, or a macro where letter is set.
type piece struct {
	literal string
	letter  byte   // in lower case; 0 for a literal
	escape  bool   // it was in upper case: the value is escaped as in a URL
	keep    int    // how many parts from the right; 0: all
	reverse bool   // the parts are turned round first
	delims  string // what separates parts; empty: "."
}

// errForeign says that a macro stands for what is not ASCII: whatever it is used for never fits (RFC 8616, section 4).
var errForeign = errors.New("the sender's local part is not ASCII")

// parseMacros reads a macro-string. Explanations have spaces and further letters (RFC 7208, section 7.2).
func parseMacros(text string, explanation bool) (macros, error) {
	out := macros{}
	from := 0
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c > 0x7e, c < ' ', c == ' ' && !explanation:
			return nil, errors.New("it has a character that is not visible ASCII")
		case c != '%':
			i++
			continue
		}
		if i > from {
			out = append(out, piece{literal: text[from:i]})
		}
		p, n, err := parseMacro(text[i:], explanation)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
		i += n
		from = i
	}
	if from < len(text) {
		out = append(out, piece{literal: text[from:]})
	}
	return out, nil
}

// parseMacro reads the macro that text begins with, and says how long it is.
func parseMacro(text string, explanation bool) (piece, int, error) {
	if len(text) < 2 {
		return piece{}, 0, errors.New("it ends in %")
	}
	switch text[1] {
	case '%':
		return piece{literal: "%"}, 2, nil
	case '_':
		return piece{literal: " "}, 2, nil
	case '-':
		return piece{literal: "%20"}, 2, nil
	case '{':
	default:
		return piece{}, 0, errors.New("a % that begins no macro")
	}
	end := strings.IndexByte(text, '}')
	if end < 3 {
		return piece{}, 0, errors.New("a macro without its end or its letter")
	}
	letter := text[2] | 0x20
	letters := "slodipvh"
	if explanation {
		letters += "crt"
	}
	if !isAlpha(text[2]) || strings.IndexByte(letters, letter) < 0 {
		return piece{}, 0, errors.New("there is no such macro here")
	}
	p := piece{letter: letter, escape: text[2] != letter}
	return p, end + 1, p.transformers(text[3:end])
}

// transformers reads how the value is cut (RFC 7208, section 7.1): *DIGIT ["r"] *delimiter.
func (p *piece) transformers(text string) error {
	digits := 0
	for digits < len(text) && isDigit(text[digits]) {
		digits++
	}
	if digits > 0 {
		n, err := strconv.Atoi(text[:digits])
		if err != nil {
			n = maxParts // it does not fit an int
		}
		if n == 0 {
			return errors.New("a macro that keeps no part") // RFC 7208, section 7.1: must be nonzero
		}
		p.keep = min(n, maxParts)
		text = text[digits:]
	}
	if text != "" && text[0]|0x20 == 'r' {
		p.reverse = true
		text = text[1:]
	}
	for i := range len(text) {
		if strings.IndexByte(".-+,/_=", text[i]) < 0 {
			return errors.New("a macro with something that is no delimiter")
		}
	}
	p.delims = text
	return nil
}

// maxParts is how many parts are kept where a number is larger; no name has so many.
const maxParts = 1 << 20

// parseDomainSpec reads a macro-string that ends in a macro or in a top label (RFC 7208, section 7.1).
func parseDomainSpec(text string) (macros, error) {
	m, err := parseMacros(text, false)
	switch {
	case err != nil:
		return nil, err
	case len(m) == 0:
		return nil, errors.New("the domain is empty")
	case isMacroEnd(text, m[len(m)-1]):
		return m, nil
	}
	literal := strings.TrimSuffix(m[len(m)-1].literal, ".")
	dot := strings.LastIndexByte(literal, '.')
	if dot < 0 || !isTopLabel(literal[dot+1:]) {
		return nil, errors.New("the domain ends in no top-level label")
	}
	return m, nil
}

// isMacroEnd reports whether the last piece was written as a macro; those for literals are two octets long.
func isMacroEnd(text string, last piece) bool {
	if last.letter != 0 {
		return true
	}
	switch last.literal {
	case "%", " ", "%20":
		return len(text) > 1 && strings.IndexByte("%_-", text[len(text)-1]) >= 0 && text[len(text)-2] == '%'
	}
	return false
}

// isTopLabel is the toplabel of RFC 7208, section 7.1: letters, digits and hyphens within, and not digits alone.
func isTopLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	other := false
	for i := range len(s) {
		if !isAlpha(s[i]) && !isDigit(s[i]) && s[i] != '-' {
			return false
		}
		other = other || !isDigit(s[i])
	}
	return other
}

// mostExpanded bounds what an expansion has in memory. Of a name only the end counts.
const mostExpanded = 4096

// expand puts values in place of macros. tail says that only the end of the result is wanted.
func (m macros) expand(value func(letter byte) (string, error), tail bool) (string, error) {
	var b strings.Builder
	for _, p := range m {
		text := p.literal
		if p.letter != 0 {
			v, err := value(p.letter)
			if err != nil {
				return "", err
			}
			text = p.transform(v)
		}
		if b.Len()+len(text) > mostExpanded {
			if !tail {
				return "", errors.New("it gets too long")
			}
			all := b.String() + text
			b.Reset()
			text = all[max(0, len(all)-mostExpanded/2):]
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// transform splits a value, turns its parts round, keeps the last of them and joins them (RFC 7208, section 7.3).
func (p piece) transform(v string) string {
	if p.keep > 0 || p.reverse || p.delims != "" {
		delims := p.delims
		if delims == "" {
			delims = "."
		}
		parts := split(v, delims)
		if p.reverse {
			slices.Reverse(parts)
		}
		if p.keep > 0 && p.keep < len(parts) {
			parts = parts[len(parts)-p.keep:]
		}
		v = strings.Join(parts, ".")
	}
	if p.escape {
		v = escape(v)
	}
	return v
}

// split cuts at each of the delimiters; what is between two of them may be empty.
func split(v, delims string) (parts []string) {
	from := 0
	for i := range len(v) {
		if strings.IndexByte(delims, v[i]) >= 0 {
			parts = append(parts, v[from:i])
			from = i + 1
		}
	}
	return append(parts, v[from:])
}

// escape is percent-encoding of all that is not unreserved (RFC 3986, section 2.3).
func escape(v string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(v) {
		if c := v[i]; isAlpha(c) || isDigit(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
		}
	}
	return b.String()
}
