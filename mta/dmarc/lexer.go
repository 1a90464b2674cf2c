package dmarc

import (
	"fmt"
	"strings"
)

// token is a word or a special character of a structured field; comments and white space are none.
type token struct {
	text    string
	special bool // one of ()<>[]:;@\,." by itself
	quoted  bool // a quoted string, or a domain literal
	spaced  bool // white space or a comment is in front
}

func (t token) is(special string) bool { return t.special && t.text == special }

const specials = `<>:;@,.`

// lex cuts a value into tokens (RFC 5322, section 3.2). What was read before an error is returned with it.
func lex(v string) (out []token, err error) {
	spaced := false
	for i := 0; i < len(v); {
		c := v[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i, spaced = i+1, true
			continue
		case c == '(':
			n := comment(v[i:])
			if n == 0 {
				return out, fmt.Errorf("%w: a comment without its end", errAuthor)
			}
			i, spaced = i+n, true
			continue
		case c == '"' || c == '[':
			text, n := enclosed(v[i:])
			if n == 0 {
				return out, fmt.Errorf("%w: %q without its end", errAuthor, c)
			}
			out = append(out, token{text: text, quoted: true, spaced: spaced})
			i += n
		case strings.IndexByte(specials, c) >= 0:
			out = append(out, token{text: v[i : i+1], special: true, spaced: spaced})
			i++
		case c < ' ' || c == 0x7f || c == ')' || c == ']' || c == '\\':
			return out, fmt.Errorf("%w: octet %#x", errAuthor, c)
		default:
			from := i
			for i < len(v) && v[i] > ' ' && v[i] != 0x7f && strings.IndexByte(specials+`()"[]\`, v[i]) < 0 {
				i++
			}
			out = append(out, token{text: v[from:i], spaced: spaced})
		}
		spaced = false
	}
	return out, nil
}

// comment is how long the comment is that text begins with; they nest. 0: it has no end.
func comment(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// enclosed is the quoted string or domain literal that text begins with, without its quotes, and how long it is.
func enclosed(text string) (string, int) {
	end := byte('"')
	if text[0] == '[' {
		end = ']'
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case c == end:
			return b.String(), i + 1
		case c == '\r' || c == '\n': // of a fold
		default:
			b.WriteByte(c)
		}
	}
	return "", 0
}
