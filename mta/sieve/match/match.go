// Package match compares texts as Sieve's tests do: comparators (RFC 4790), match types (RFC 5228, section 2.7), relations (RFC 5231)
// and regular expressions. What a comparison costs is taken from a Budget, so that no script and no message can make it long. It knows
// nothing of messages.
package match

import (
	"errors"
	"strconv"
	"strings"
)

// ErrSpent says that a Budget is used up.
var ErrSpent = errors.New("the script does too much work")

// Budget is the work that is left of a run: a unit is a few nanoseconds, as for an octet that is compared by itself.
type Budget struct{ Left int }

// Spend takes n units. The error is ErrSpent.
func (b *Budget) Spend(n int) error {
	if b.Left -= n; b.Left < 0 {
		b.Left = 0
		return ErrSpent
	}
	return nil
}

// How many octets a unit searches for a text, and brings to lower case.
const (
	searchSpeed = 8
	foldSpeed   = 4
)

// Comparator says when two texts are the same and which comes first.
type Comparator uint8

// The comparators (RFC 4790, section 9). Casemap is the default of Sieve.
const (
	Casemap Comparator = iota // i;ascii-casemap
	Octet                     // i;octet
	Numeric                   // i;ascii-numeric
)

// ParseComparator finds a comparator by its name.
func ParseComparator(name string) (Comparator, bool) {
	switch name {
	case "i;ascii-casemap":
		return Casemap, true
	case "i;octet":
		return Octet, true
	case "i;ascii-numeric":
		return Numeric, true
	}
	return 0, false
}

// Kind is a match type.
type Kind uint8

// The match types. Is is the default.
const (
	Is Kind = iota
	Contains
	Matches
	Regex
	Value // RFC 5231
	Count // RFC 5231: of the number of things; the caller counts
)

// Relation is how Value and Count compare.
type Relation uint8

// The relations (RFC 5231, section 4).
const (
	GT Relation = iota + 1
	GE
	LT
	LE
	EQ
	NE
)

// ParseRelation finds a relation by its name in lower case.
func ParseRelation(name string) (Relation, bool) {
	for i, n := range [...]string{"gt", "ge", "lt", "le", "eq", "ne"} {
		if n == name {
			return Relation(i + 1), true
		}
	}
	return 0, false
}

// Rule is how a test compares.
type Rule struct {
	Kind       Kind
	Comparator Comparator
	Relation   Relation // of Value and Count
}

// Subject is a text that is compared, perhaps often.
type Subject struct {
	Text   string
	fold   string
	folded bool
}

// folding gives the text in lower case.
func (s *Subject) folding(b *Budget) (string, error) {
	if !s.folded {
		if err := b.Spend(len(s.Text) / foldSpeed); err != nil {
			return "", err
		}
		s.fold, s.folded = lower(s.Text), true
	}
	return s.fold, nil
}

// lower gives a text with A to Z as a to z, which is as long.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// Key is what a Subject is compared with.
type Key struct {
	rule Rule
	text string // in lower case under Casemap
	wild *wild
	expr *expression
}

// Prepare makes a key for a rule. The error says what is wrong with a regular expression.
func (r Rule) Prepare(key string, maxRegex int) (*Key, error) {
	k := &Key{rule: r, text: key}
	if r.Comparator == Casemap && r.Kind != Regex {
		k.text = lower(key)
	}
	switch r.Kind {
	case Matches:
		k.wild = parseWild(k.text)
	case Regex:
		e, err := compileRegex(key, r.Comparator == Casemap, maxRegex)
		if err != nil {
			return nil, err
		}
		k.expr = e
	}
	return k, nil
}

// Instructions gives the size of a regular expression, 0 for other keys.
func (k *Key) Instructions() int {
	if k.expr == nil {
		return 0
	}
	return k.expr.size
}

// Match compares. The captures are those of Matches and Regex (RFC 5229, section 3.2), the whole first; nil for other kinds. The error
// is ErrSpent.
func (k *Key) Match(s *Subject, b *Budget) (ok bool, captures []string, err error) {
	if err := b.Spend(8 + len(k.text)); err != nil {
		return false, nil, err
	}
	switch k.rule.Kind {
	case Regex:
		return k.expr.match(s.Text, b)
	case Count:
		return k.rule.Relation.holds(numeric(s.Text, k.text)), nil, nil
	}
	text := s.Text
	if k.rule.Comparator == Casemap {
		if text, err = s.folding(b); err != nil {
			return false, nil, err
		}
	}
	switch k.rule.Kind {
	case Is:
		return k.rule.Comparator.compare(text, k.text) == 0, nil, nil
	case Contains:
		err := b.Spend(len(text) / searchSpeed)
		return strings.Contains(text, k.text), nil, err
	case Matches:
		return k.wild.match(text, s.Text, b)
	}
	return k.rule.Relation.holds(k.rule.Comparator.compare(text, k.text)), nil, nil
}

// CountOf is the Subject of a number of things.
func CountOf(n int) *Subject { return &Subject{Text: strconv.Itoa(n)} }

func (c Comparator) compare(a, b string) int {
	if c == Numeric {
		return numeric(a, b)
	}
	return strings.Compare(a, b)
}

// numeric compares the numbers that two texts begin with; what begins with none is infinite (RFC 4790, section 9.1.1).
func numeric(a, b string) int {
	x, xok := digits(a)
	y, yok := digits(b)
	switch {
	case !xok && !yok:
		return 0
	case !xok:
		return 1
	case !yok:
		return -1
	case len(x) != len(y):
		return len(x) - len(y)
	}
	return strings.Compare(x, y)
}

// digits gives the digits that a text begins with, without zeros in front.
func digits(s string) (string, bool) {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return strings.TrimLeft(s[:n], "0"), n > 0
}

func (r Relation) holds(order int) bool {
	switch r {
	case GT:
		return order > 0
	case GE:
		return order >= 0
	case LT:
		return order < 0
	case LE:
		return order <= 0
	case EQ:
		return order == 0
	}
	return order != 0
}
