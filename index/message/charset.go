package message

import (
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
)

// KnownCharset tells whether text in a charset, by its MIME name in any case, can be read. IMAP answers
// BADCHARSET to a SEARCH in another one.
func KnownCharset(name string) bool {
	return isUnicode(name) || lookupCharset(name) != nil
}

// isUnicode tells whether a name stands for UTF-8 or a part of it; an absent charset is US-ASCII.
func isUnicode(name string) bool {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "", "us-ascii", "ascii", "utf-8", "utf8":
		return true
	}
	return false
}

// lookupCharset finds a charset other than UTF-8, or gives nil.
func lookupCharset(name string) encoding.Encoding {
	name = strings.TrimSpace(name)
	if isUnicode(name) {
		return nil
	}
	if e, err := htmlindex.Get(name); err == nil {
		if n, err := htmlindex.Name(e); err == nil && (n == "utf-8" || n == "replacement") {
			return nil
		}
		return e
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil {
		return e // nil for what is registered but not implemented
	}
	return nil
}

// decodeCharset reads r as text in a charset. What claims to be UTF-8 or ASCII, and what is in a charset
// nobody knows, is read as UTF-8 where it is that and as Windows-1252 where it is not.
func decodeCharset(name string, r io.Reader) io.Reader {
	if e := lookupCharset(name); e != nil {
		return transform.NewReader(r, e.NewDecoder())
	}
	return newConvertingReader(r, &lenientUTF8{})
}

// decodeBytes is decodeCharset for a piece at hand.
func decodeBytes(name string, b []byte) string {
	if e := lookupCharset(name); e != nil {
		if out, err := e.NewDecoder().Bytes(b); err == nil {
			return string(out)
		}
	}
	if utf8.Valid(b) {
		return string(b)
	}
	return string(convertAll(&lenientUTF8{}, b))
}

// lenientUTF8 passes valid UTF-8 and takes every other octet for Windows-1252.
type lenientUTF8 struct {
	held []byte // the start of a rune
}

func (u *lenientUTF8) convert(dst, src []byte) []byte {
	if len(u.held) > 0 {
		for len(src) > 0 && !utf8.FullRune(u.held) {
			u.held = append(u.held, src[0])
			src = src[1:]
		}
		if !utf8.FullRune(u.held) {
			return dst
		}
		held := u.held
		u.held = nil
		dst = u.convert(dst, held)
		if len(u.held) > 0 { // its first octet was none of a rune, the others may begin one
			return u.convert(dst, src)
		}
	}
	for len(src) > 0 {
		if src[0] < utf8.RuneSelf {
			n := 1
			for n < len(src) && src[n] < utf8.RuneSelf {
				n++
			}
			dst = append(dst, src[:n]...)
			src = src[n:]
			continue
		}
		if !utf8.FullRune(src) {
			u.held = append(u.held[:0], src...)
			return dst
		}
		r, n := utf8.DecodeRune(src)
		if r == utf8.RuneError && n == 1 {
			dst = appendWestern(dst, src[0])
		} else {
			dst = append(dst, src[:n]...)
		}
		src = src[n:]
	}
	return dst
}

func (u *lenientUTF8) flush(dst []byte) []byte {
	for _, c := range u.held {
		dst = appendWestern(dst, c)
	}
	u.held = nil
	return dst
}

func appendWestern(dst []byte, c byte) []byte {
	return utf8.AppendRune(dst, charmap.Windows1252.DecodeByte(c))
}
