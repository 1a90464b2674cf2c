package match_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/mta/sieve/match"
)

func run(t testing.TB, rule match.Rule, text, key string, work int) (bool, []string, error) {
	t.Helper()
	k, err := rule.Prepare(key, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	return k.Match(&match.Subject{Text: text}, &match.Budget{Left: work})
}

func TestWild(t *testing.T) {
	for _, c := range []struct {
		text, pattern string
		want          string // captures behind the whole; "-" is no match
	}{
		{"", "", ""}, {"", "*", "<>"}, {"a", "", "-"}, {"abc", "a*", "<bc>"}, {"abc", "*c", "<ab>"}, {"abc", "a?c", "<b>"},
		{"abcabc", "*b*c", "<a><cab>"}, {"abcabc", "*bc", "<abca>"}, {"aXbXc", "*X*", "<a><bXc>"}, {"äöü", "?ö?", "<ä><ü>"},
		{"äöü", "*?", "<äö><ü>"}, {"ab", "???", "-"}, {"a*b", `a\*b`, ""}, {"axb", `a\*b`, "-"}, {`a\b`, `a\\b`, ""}, {"ABC", "*b*", "<A><C>"},
		{"abab", "*a?", "<ab><b>"}, {"a.b.c", "*.?.*", "<a><b><c>"}, {"xay", "*?a?*", "<><x><y><>"}, {"aaa", "a*a*a", "<><>"}, {"aa", "a*a*a", "-"},
	} {
		ok, captures, err := run(t, match.Rule{Kind: match.Matches}, c.text, c.pattern, 10_000)
		got := "-"
		if ok {
			got = ""
			for _, s := range captures[1:] {
				got += "<" + s + ">"
			}
		}
		if err != nil || got != c.want {
			t.Errorf("%q against %q: %s %v, want %s", c.text, c.pattern, got, err, c.want)
		}
	}
}

func TestNumeric(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want match.Relation
	}{
		{"1", "2", match.LT}, {"10", "9", match.GT}, {"007", "7", match.EQ}, {"7x", "7", match.EQ}, {"x", "7", match.GT}, {"7", "x", match.LT},
		{"x", "", match.EQ}, {"0", "000", match.EQ}, {"18446744073709551616", "18446744073709551615", match.GT},
	} {
		for _, r := range []match.Relation{match.LT, match.EQ, match.GT} {
			ok, _, err := run(t, match.Rule{Kind: match.Value, Comparator: match.Numeric, Relation: r}, c.a, c.b, 1000)
			if err != nil || ok != (r == c.want) {
				t.Errorf("%q %v %q: %t %v", c.a, r, c.b, ok, err)
			}
		}
	}
}

// TestBudget shows that a comparison that is too long ends, and takes no longer than the budget says.
func TestBudget(t *testing.T) {
	long := strings.Repeat("a", 100_000)
	for _, c := range []struct {
		kind match.Kind
		key  string
	}{
		{match.Contains, "b"}, {match.Matches, "*?a?a?a?a?a?b*"}, {match.Matches, "*" + strings.Repeat("a?", 200) + "b*"}, {match.Regex, "(a*)*b"}, {match.Matches, "*b*"},
	} {
		if ok, _, err := run(t, match.Rule{Kind: c.kind}, long, c.key, 20_000); ok || !errors.Is(err, match.ErrSpent) {
			t.Errorf("%v %.40q: %t %v", c.kind, c.key, ok, err)
		}
	}
	if ok, _, err := run(t, match.Rule{Kind: match.Matches}, long, "*a", 1_000_000); !ok || err != nil {
		t.Errorf("a simple pattern: %t %v", ok, err)
	}
}

func TestRegexLimits(t *testing.T) {
	for _, key := range []string{strings.Repeat("a", 2000), "(", "((a{1,99}){1,99})", "(?:(?:x{20}y){25}z){2}", `\p{Klingon}`} {
		if _, err := (match.Rule{Kind: match.Regex}).Prepare(key, 1<<10); err == nil {
			t.Errorf("%.40q is taken", key)
		}
	}
}

// FuzzWild holds patterns against regular expressions, which take as little for each star too.
func FuzzWild(f *testing.F) {
	f.Add("abcabc", "*b*c")
	f.Add("äöü", "?*")
	f.Add(`a*\`, `a\*\\`)
	f.Add("aaab", "*a?b*")
	f.Fuzz(func(t *testing.T, text, pattern string) {
		if len(text) > 200 || len(pattern) > 50 || !utf8.ValidString(text) || !utf8.ValidString(pattern) || strings.ContainsRune(text, utf8.RuneError) {
			t.Skip()
		}
		var expr strings.Builder
		expr.WriteString("(?s)^")
		for i := 0; i < len(pattern); i++ {
			switch c := pattern[i]; {
			case c == '*':
				expr.WriteString("(.*?)")
			case c == '?':
				expr.WriteString("(.)")
			case c == '\\':
				if i+1 < len(pattern) {
					i++
				}
				fmt.Fprintf(&expr, `%s`, regexp.QuoteMeta(pattern[i:i+1]))
			default:
				expr.WriteString(regexp.QuoteMeta(string(c)))
			}
			if pattern[i] >= 0x80 {
				t.Skip() // octet by octet is no expression
			}
		}
		re, err := regexp.Compile(expr.String() + "$")
		if err != nil {
			t.Skip()
		}
		want := re.FindStringSubmatch(text)
		ok, got, err := run(t, match.Rule{Kind: match.Matches, Comparator: match.Octet}, text, pattern, 1_000_000)
		if err != nil || ok != (want != nil) || ok && !slices.Equal(got, want) {
			t.Fatalf("%q against %q: %q %v, want %q", text, pattern, got, err, want)
		}
		if quoted := match.QuoteWild(pattern); true {
			if ok, _, _ := run(t, match.Rule{Kind: match.Matches, Comparator: match.Octet}, pattern, quoted, 1_000_000); !ok {
				t.Fatalf("%q does not match itself quoted, %q", pattern, quoted)
			}
		}
	})
}
