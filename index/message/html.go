package message

import (
	"html"
	"io"
)

// StripHTML reads UTF-8 HTML and gives its text, for search and previews: tags, comments, scripts and
// styles are left out, character references are resolved, and what separates blocks becomes a line
// end. It is no sanitizer.
func StripHTML(r io.Reader) io.Reader {
	return newConvertingReader(r, &htmlStripper{})
}

// htmlState is where in HTML an octet is.
type htmlState uint8

const (
	htmlText      htmlState = iota
	htmlReference           // after "&"
	htmlTag                 // after "<"
	htmlQuote               // inside a quoted attribute
	htmlComment             // after "<!--"
	htmlRaw                 // inside script or style
)

// htmlStripper is a converter.
type htmlStripper struct {
	state htmlState
	held  []byte // the start of the tag, or the reference
	quote byte   // that ends htmlQuote
	until string // the tag that ends htmlRaw
	tail  uint32 // the last octets inside a comment
}

// maxHeldTag is how much of a tag is looked at, and how long a reference can be.
const maxHeldTag = 40

func (h *htmlStripper) convert(dst, src []byte) []byte {
	for len(src) > 0 {
		if h.state == htmlText {
			n := plainText(src)
			dst = append(dst, src[:n]...)
			if src = src[n:]; len(src) == 0 {
				break
			}
			if n := bareTag(src); n > 0 {
				h.held = append(h.held[:0], src[1:n-1]...)
				dst, src = h.endTag(dst), src[n:]
				continue
			}
		}
		if h.state == htmlTag {
			if src = src[h.attributes(src):]; len(src) == 0 {
				break
			}
		}
		dst = h.octet(dst, src[0])
		src = src[1:]
	}
	return dst
}

// bareTag is how many octets a tag has that has nothing but its name, and is all there; 0 where b does not begin with one.
func bareTag(b []byte) int {
	if len(b) < len("<b>") || b[0] != '<' {
		return 0
	}
	n := 1
	if b[1] == '/' {
		n = 2
	}
	for from := n; n < min(len(b), maxHeldTag); n++ {
		if b[n] == '>' && n > from {
			return n + 1
		}
		if !isNameByte(b[n]) {
			return 0
		}
	}
	return 0
}

// attributes takes what in a tag, behind its start, is neither its end nor about quotes, and tells how many octets that is.
func (h *htmlStripper) attributes(b []byte) int {
	held := len(h.held)
	if h.until != "" || held < len("!--") || h.held[held-1] == '=' {
		return 0
	}
	n := 0
	for n < len(b) && b[n] != '>' && b[n] != '"' && b[n] != '\'' && b[n] != '=' {
		n++
	}
	if n == 0 {
		return 0
	}
	h.held = append(h.held, b[:min(n, maxHeldTag-held)]...)
	if held+n > maxHeldTag {
		h.held[maxHeldTag-1] = b[n-1] // of a long tag only the name and the last octet matter
	}
	return n
}

// plainText is how many octets of a text are what they are.
func plainText(b []byte) int {
	for i, c := range b {
		if c == '<' || c == '&' {
			return i
		}
	}
	return len(b)
}

func (h *htmlStripper) octet(dst []byte, c byte) []byte {
	switch h.state {
	case htmlText:
		return h.text(dst, c)
	case htmlReference:
		if isNameByte(c) && len(h.held) < maxHeldTag {
			h.held = append(h.held, c)
			return dst
		}
		if c == ';' {
			h.held = append(h.held, c)
			return h.flush(dst)
		}
		return h.text(h.flush(dst), c)
	case htmlTag:
		return h.tag(dst, c)
	case htmlQuote:
		if c == h.quote {
			h.state = htmlTag
		}
	case htmlComment:
		h.tail = h.tail<<8 | uint32(c)
		if h.tail&0xffffff == '-'<<16|'-'<<8|'>' {
			h.state = htmlText
		}
	case htmlRaw:
		if c == '<' {
			h.state, h.held = htmlTag, h.held[:0]
		}
	}
	return dst
}

func (h *htmlStripper) text(dst []byte, c byte) []byte {
	switch c {
	case '<':
		h.state, h.held = htmlTag, h.held[:0]
	case '&':
		h.state, h.held = htmlReference, append(h.held[:0], c)
	default:
		dst = append(dst, c)
	}
	return dst
}

// tag takes an octet between "<" and ">".
func (h *htmlStripper) tag(dst []byte, c byte) []byte {
	switch {
	case h.until == "" && len(h.held) == 0 && !isNameByte(c) && c != '/' && c != '!' && c != '?':
		h.state = htmlText // a "<" that opens no tag
		return h.text(append(dst, '<'), c)
	case h.until != "" && !h.mayEnd(c):
		h.state = htmlRaw
		if c == '<' {
			h.state, h.held = htmlTag, h.held[:0]
		}
	case c == '>':
		return h.endTag(dst)
	case (c == '"' || c == '\'') && len(h.held) > 0 && h.held[0] != '!' && h.held[len(h.held)-1] == '=':
		h.state, h.quote = htmlQuote, c
	case (c == ' ' || c == '\n') && len(h.held) > 0 && h.held[len(h.held)-1] == '=':
		// white space between "=" and a quote
	case len(h.held) < maxHeldTag:
		h.held = append(h.held, c)
		if string(h.held) == "!--" {
			h.state, h.tail = htmlComment, 0
		}
	default:
		h.held[maxHeldTag-1] = c // of a long tag only the name and the last octet matter
	}
	return dst
}

// mayEnd tells whether the tag being read can be the one that ends a script or style.
func (h *htmlStripper) mayEnd(c byte) bool {
	n := len(h.held)
	end := "/" + h.until
	if n < len(end) {
		return c|0x20 == end[n]|0x20
	}
	return true
}

func (h *htmlStripper) endTag(dst []byte) []byte {
	h.state = htmlText
	end := 0
	closing := len(h.held) > 0 && h.held[0] == '/'
	if closing {
		end = 1
	}
	start := end
	for end < len(h.held) && isNameByte(h.held[end]) {
		end++
	}
	name := h.held[start:end]
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			name[i] = c | 0x20
		}
	}
	if h.until = ""; !closing && (string(name) == "script" || string(name) == "style") {
		h.state, h.until = htmlRaw, string(name)
	}
	if !isInline(name) {
		dst = append(dst, '\n')
	}
	return dst
}

// flush resolves the reference that is held.
func (h *htmlStripper) flush(dst []byte) []byte {
	if h.state == htmlReference {
		dst = append(dst, html.UnescapeString(string(h.held))...)
		h.state = htmlText
	}
	return dst
}

// isNameByte tells what can be in the name of a tag or of a character reference.
func isNameByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '#'
}

// isInline tells the elements that do not separate words.
func isInline(name []byte) bool {
	switch string(name) {
	case "a", "abbr", "b", "big", "code", "em", "font", "i", "mark", "s", "small", "span", "strong", "sub",
		"sup", "tt", "u", "wbr":
		return true
	}
	return false
}
