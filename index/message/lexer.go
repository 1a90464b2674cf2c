package message

// lexer reads the tokens of a structured field (RFC 5322, section 3.2), already unfolded. What is
// opened and never closed is taken as an ordinary character.
type lexer struct {
	b []byte
	i int

	comment []byte // what the last comment that was skipped holds, raw

	// Once nothing closed a quote or a comment, nothing will: these keep the reading linear.
	openQuote, openComment bool
}

// skip passes over white space and comments.
func (l *lexer) skip() {
	for l.i < len(l.b) {
		switch c := l.b[l.i]; {
		case c == ' ' || c == '\t':
			l.i++
		case c == '(' && l.skipComment():
		default:
			return
		}
	}
}

// skipComment passes over the comment at i, or tells that it has no end.
func (l *lexer) skipComment() bool {
	if l.openComment {
		return false
	}
	depth := 0
	for i := l.i; i < len(l.b); i++ {
		switch l.b[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				l.comment = l.b[l.i+1 : i]
				l.i = i + 1
				return true
			}
		}
	}
	l.openComment = true
	return false
}

// quoted reads the quoted string at i and appends what it means to dst, or tells that none is there.
func (l *lexer) quoted(dst []byte) ([]byte, bool) {
	if l.i >= len(l.b) || l.b[l.i] != '"' || l.openQuote {
		return dst, false
	}
	start := len(dst)
	for i := l.i + 1; i < len(l.b); i++ {
		switch c := l.b[i]; {
		case c == '"':
			l.i = i + 1
			return dst, true
		case c == '\\' && i+1 < len(l.b):
			i++
			dst = append(dst, l.b[i])
		default:
			dst = append(dst, c)
		}
	}
	l.openQuote = true
	return dst[:start], false
}

// until reads up to the first octet that stop wants, or the end.
func (l *lexer) until(stop func(byte) bool) []byte {
	start := l.i
	for l.i < len(l.b) && !stop(l.b[l.i]) {
		l.i++
	}
	return l.b[start:l.i]
}

// at tells whether the next octet is c.
func (l *lexer) at(c byte) bool { return l.i < len(l.b) && l.b[l.i] == c }

// take passes over c if it is next.
func (l *lexer) take(c byte) bool {
	if !l.at(c) {
		return false
	}
	l.i++
	return true
}

// unescape appends b to dst with quoted pairs resolved.
func unescape(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		dst = append(dst, b[i])
	}
	return dst
}
