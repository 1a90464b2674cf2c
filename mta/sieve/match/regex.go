package match

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// maxProgram is how many instructions a regular expression may have when it is compiled.
const maxProgram = 1000

// expression is a regular expression with what an octet of text costs.
type expression struct {
	re   *regexp.Regexp
	size int // instructions
	cost int
}

// compileRegex compiles an expression in the syntax of RE2. "." matches line ends too, "^" and "$" are the ends of the text.
func compileRegex(text string, casemap bool, limit int) (*expression, error) {
	if len(text) > limit {
		return nil, fmt.Errorf("a regular expression of %d octets, %d are allowed", len(text), limit)
	}
	flags := "(?s)"
	if casemap {
		flags = "(?is)"
	}
	parsed, err := syntax.Parse(flags+text, syntax.Perl)
	if err != nil {
		var e *syntax.Error
		if errors.As(err, &e) {
			return nil, fmt.Errorf("a regular expression with %s: %q", e.Code, strings.TrimPrefix(e.Expr, flags))
		}
		return nil, fmt.Errorf("read a regular expression: %w", err)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("compile a regular expression: %w", err)
	}
	if len(prog.Inst) > maxProgram {
		return nil, fmt.Errorf("a regular expression of %d instructions, %d are allowed", len(prog.Inst), maxProgram)
	}
	re, err := regexp.Compile(flags + text)
	if err != nil {
		return nil, fmt.Errorf("compile a regular expression: %w", err)
	}
	return &expression{re: re, size: len(prog.Inst), cost: 1 + len(prog.Inst)/2}, nil
}

// maxRegexText is how much of a text a regular expression looks at, in octets.
const maxRegexText = 64 << 10

func (e *expression) match(text string, b *Budget) (bool, []string, error) {
	text = text[:min(len(text), maxRegexText)]
	if err := b.Spend((len(text) + 1) * e.cost); err != nil {
		return false, nil, err
	}
	captures := e.re.FindStringSubmatch(text)
	return captures != nil, captures, nil
}

// QuoteRegex gives an expression that matches a text as it is (:quoteregex of the regex extension).
func QuoteRegex(text string) string { return regexp.QuoteMeta(text) }

// QuoteWild gives a pattern of Matches that matches a text as it is (:quotewildcard, RFC 5229, section 4.1.3).
func QuoteWild(text string) string {
	return strings.NewReplacer("*", `\*`, "?", `\?`, `\`, `\\`).Replace(text)
}
