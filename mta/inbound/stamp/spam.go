package stamp

import (
	"fmt"
	"strings"
)

// maxTests bounds how many checks a field names.
const maxTests = 20

// Spam are the fields that say what the checks made of a message, as programs of users know them: X-Spam-Flag, X-Spam-Score and
// X-Spam-Status. required is the score from which on it is junk, 0: none.
func Spam(junk bool, score, required float64, tests []string) []byte {
	flag, word := "NO", "No"
	if junk {
		flag, word = "YES", "Yes"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "X-Spam-Flag: %s\r\nX-Spam-Score: %.1f\r\nX-Spam-Status: %s, score=%.1f required=%.1f\r\n", flag, score, word, score, required)
	line := "\ttests="
	for i, t := range tests[:min(len(tests), maxTests)] {
		t = token(t)
		if i > 0 {
			line += ","
		}
		if len(line)+len(t) > 76 && strings.TrimSpace(line) != "tests=" {
			b.WriteString(line + "\r\n")
			line = "\t"
		}
		line += t
	}
	if len(tests) > 0 {
		b.WriteString(line + "\r\n")
	}
	return []byte(b.String())
}

// token is a name of others in a header field: printable, without what parts names.
func token(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || r == ',' {
			return '_'
		}
		return r
	}, s)
	return s[:min(len(s), 60)]
}
