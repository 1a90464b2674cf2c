package syntax

import (
	"bytes"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// token is what a script consists of (RFC 5228, section 8.1).
type token struct {
	Pos
	kind   tokenKind
	text   string // of an identifier or tag in lower case; of a string what it means
	number uint64
	mark   byte // of a special character
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenIdentifier
	tokenTag
	tokenNumber
	tokenString
	tokenMark // one of ( ) [ ] { } , ;
)

// String says what a token is in a message about it.
func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end of the script"
	case tokenIdentifier, tokenTag:
		return Quote(t.text)
	case tokenNumber:
		return "a number"
	case tokenString:
		return "a string"
	}
	return "'" + string(t.mark) + "'"
}

// Quote puts a text of a script into quotes for a message, cut after 60 characters.
func Quote(s string) string {
	if utf8.RuneCountInString(s) > 60 {
		s = string([]rune(s)[:60]) + "…"
	}
	return `"` + strings.Map(printable, s) + `"`
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

// MaxNumber is the largest number that a script can say.
const MaxNumber = 1<<53 - 1

// lexer cuts a script into tokens.
type lexer struct {
	text string
	at   int

	// The place of counted, which never runs ahead of at.
	counted int
	pos     Pos
}

func newLexer(script []byte) (*lexer, *Error) {
	script = bytes.TrimPrefix(script, []byte("\ufeff"))
	l := &lexer{text: string(script), pos: Pos{1, 1}}
	for i, c := range l.text {
		if c == 0 {
			return nil, Errorf(l.place(i), "a NUL character")
		}
		if c == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(l.text[i:]); n == 1 {
				return nil, Errorf(l.place(i), "octets that are not UTF-8")
			}
		}
	}
	l.counted, l.pos = 0, Pos{1, 1}
	return l, nil
}

// place gives the place of the octet i, which is not before that of the last call.
func (l *lexer) place(i int) Pos {
	for _, c := range l.text[l.counted:i] {
		if c == '\n' {
			l.pos.Line++
			l.pos.Column = 1
		} else {
			l.pos.Column++
		}
	}
	l.counted = i
	return l.pos
}

// next reads one token.
func (l *lexer) next() (token, *Error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	t := token{Pos: l.place(l.at)}
	if l.at >= len(l.text) {
		return t, nil
	}
	switch c := l.text[l.at]; {
	case strings.IndexByte("()[]{},;", c) >= 0:
		t.kind, t.mark = tokenMark, c
		l.at++
		return t, nil
	case c == '"':
		return l.quoted(t)
	case c == ':':
		l.at++
		t.kind, t.text = tokenTag, ":"+l.identifier()
		if t.text == ":" {
			return t, Errorf(t.Pos, "a ':' without the name of a tag")
		}
		return t, nil
	case '0' <= c && c <= '9':
		return l.numeral(t)
	case isNameStart(c):
		t.kind, t.text = tokenIdentifier, l.identifier()
		if t.text == "text" && l.at < len(l.text) && l.text[l.at] == ':' {
			l.at++
			return l.multiline(t)
		}
		return t, nil
	}
	r, _ := utf8.DecodeRuneInString(l.text[l.at:])
	return t, Errorf(t.Pos, "the character %s does not belong here", Quote(string(r)))
}

// skip passes over white space and comments.
func (l *lexer) skip() *Error {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch c := rest[0]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			l.at++
		case c == '#':
			l.at += lineLength(rest)
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return Errorf(l.place(l.at), "a comment without its end */")
			}
			l.at += end + 4
		default:
			return nil
		}
	}
	return nil
}

// lineLength gives the octets up to the end of the line, with it.
func lineLength(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i + 1
	}
	return len(s)
}

func isNameStart(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' }

func (l *lexer) identifier() string {
	start := l.at
	for l.at < len(l.text) {
		c := l.text[l.at]
		if !isNameStart(c) && (l.at == start || c < '0' || c > '9') {
			break
		}
		l.at++
	}
	return strings.ToLower(l.text[start:l.at])
}

// numeral reads digits and K, M or G behind them, which are powers of 1,024.
func (l *lexer) numeral(t token) (token, *Error) {
	t.kind = tokenNumber
	for l.at < len(l.text) && '0' <= l.text[l.at] && l.text[l.at] <= '9' {
		if t.number <= MaxNumber {
			t.number = t.number*10 + uint64(l.text[l.at]-'0')
		}
		l.at++
	}
	if l.at < len(l.text) {
		shift := 0
		switch l.text[l.at] | 0x20 {
		case 'k':
			shift = 10
		case 'm':
			shift = 20
		case 'g':
			shift = 30
		}
		if shift > 0 {
			l.at++
			if bits.Len64(t.number)+shift > 62 {
				t.number = MaxNumber + 1
			} else {
				t.number <<= shift
			}
		}
	}
	if l.at < len(l.text) && (isNameStart(l.text[l.at]) || '0' <= l.text[l.at] && l.text[l.at] <= '9') {
		return t, Errorf(t.Pos, "a number that goes on with %s: K, M and G are the units", Quote(l.text[l.at:l.at+1]))
	}
	if t.number > MaxNumber {
		return t, Errorf(t.Pos, "a number above %d", uint64(MaxNumber))
	}
	return t, nil
}

// quoted reads a quoted string (RFC 5228, section 2.4.2).
func (l *lexer) quoted(t token) (token, *Error) {
	t.kind = tokenString
	var b strings.Builder
	for i := l.at + 1; i < len(l.text); i++ {
		switch c := l.text[i]; c {
		case '"':
			l.at = i + 1
			t.text = b.String()
			return t, nil
		case '\\':
			if i+1 < len(l.text) {
				i++
				b.WriteByte(l.text[i])
			}
		case '\n':
			writeLineEnd(&b, l.text[:i])
		default:
			b.WriteByte(c)
		}
	}
	return t, Errorf(t.Pos, "a string without its closing quote")
}

// writeLineEnd writes what is missing of a CRLF behind the text before an LF.
func writeLineEnd(b *strings.Builder, before string) {
	if !strings.HasSuffix(before, "\r") {
		b.WriteByte('\r')
	}
	b.WriteByte('\n')
}

// multiline reads what follows "text:", up to a line with a dot alone; of two dots that begin another line one is meant.
func (l *lexer) multiline(t token) (token, *Error) {
	t.kind = tokenString
	for l.at < len(l.text) && (l.text[l.at] == ' ' || l.text[l.at] == '\t') {
		l.at++
	}
	rest := l.text[l.at:]
	first := rest[:lineLength(rest)]
	if trimmed := strings.TrimRight(first, "\r\n"); trimmed == first || trimmed != "" && trimmed[0] != '#' {
		return t, Errorf(t.Pos, "text: is followed by the end of its line")
	}
	l.at += len(first)
	var b strings.Builder
	for l.at < len(l.text) {
		rest = l.text[l.at:]
		line := rest[:lineLength(rest)]
		l.at += len(line)
		content := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if content == "." {
			t.text = b.String()
			return t, nil
		}
		if strings.HasPrefix(content, "..") {
			content = content[1:]
		}
		b.WriteString(content)
		b.WriteString("\r\n")
	}
	return t, Errorf(t.Pos, "text: without a line of one dot that ends it")
}
