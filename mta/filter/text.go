package filter

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxDetail is how long a text of a filter may be where it is told.
const maxDetail = 300

// printable makes what a filter wrote fit for a line: no control characters, valid UTF-8, not long.
func printable(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail] + "..."
	}
	s = strings.ToValidUTF8(s, "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}

// maxRules is how many rules of a filter are told.
const maxRules = 20

// ruleLine tells the rules that weigh most, with their scores.
func ruleLine(list []Symbol) string {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Symbol) int {
		return cmp.Or(cmp.Compare(math.Abs(b.Score), math.Abs(a.Score)), strings.Compare(a.Name, b.Name))
	})
	var out []string
	for _, s := range list[:min(maxRules, len(list))] {
		name := s.Name[:min(len(s.Name), 80)]
		out = append(out, fmt.Sprintf("%s %.4g", printable(name), s.Score))
	}
	if n := len(list) - len(out); n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, ", ")
}
