package dns

import (
	"fmt"
	"strings"
)

// special is what has a backslash in front in the form of zone files (RFC 1035, section 5.1), as the library writes it.
const special = ` '@;()"\`

// presentation is a name of octets between dots as zone files have it.
func presentation(name string) string {
	if !strings.ContainsFunc(name, func(r rune) bool { return r < '!' || r > '~' || strings.ContainsRune(special, r) }) {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case strings.IndexByte(special, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < '!' || c > '~':
			fmt.Fprintf(&b, "\\%03d", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// octets undoes the escapes of the form of zone files. dot says that one of them stands for a dot.
func octets(text string) (out string, dot bool) {
	if strings.IndexByte(text, '\\') < 0 {
		return text, false
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			if n, ok := decimal(text[i+1:]); ok {
				c, i = n, i+3
			} else {
				c, i = text[i+1], i+1
			}
			dot = dot || c == '.'
		}
		b = append(b, c)
	}
	return string(b), dot
}

// decimal reads the three digits of an escape.
func decimal(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	n := 0
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return byte(n), n < 256
}

// plain is a name without escapes; empty where it has none such, since there is a dot within a label.
func plain(name string) string {
	out, dot := octets(name)
	if dot {
		return ""
	}
	return out
}
