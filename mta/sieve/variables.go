package sieve

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/mta/sieve/match"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// variable gives the value of a variable, "" for one that was never set.
func (m *machine) variable(name string) string {
	if shared, ok := strings.CutPrefix(name, "global."); ok {
		return m.globals[shared]
	}
	if m.frame.shared[name] {
		return m.globals[name]
	}
	return m.frame.vars[name]
}

// setVariable keeps a value, cut to what a variable may hold.
func (m *machine) setVariable(name, value string) error {
	vars := m.frame.vars
	if shared, ok := strings.CutPrefix(name, "global."); ok {
		vars, name = m.globals, shared
	} else if m.frame.shared[name] {
		vars = m.globals
	}
	if _, known := vars[name]; !known && len(vars) >= m.limits.Variables {
		return fmt.Errorf("more than %d variables", m.limits.Variables)
	}
	vars[name] = strings.Clone(cut(value, m.limits.Variable))
	return m.budget.Spend(len(vars[name]))
}

// variableName reads the name of a variable that is set.
func (c *compiler) variableName(a *syntax.Argument) (string, *Error) {
	name := strings.ToLower(a.Strings[0].Text)
	if !isVariable(name) || len(name) > 32+len("global.") {
		return "", syntax.Errorf(a.Strings[0].Pos, "%s cannot be the name of a variable", quote(name))
	}
	if space, rest, ok := strings.Cut(name, "."); ok && (space != "global" || strings.Contains(rest, ".") || !c.enabled["include"]) {
		return "", syntax.Errorf(a.Strings[0].Pos, "%s is of a namespace that cannot be set", quote(name))
	}
	return name, nil
}

// modifierTags are those of set (RFC 5229, section 4.1); modifiers of the same precedence exclude each other.
func modifierTags() []tag {
	return []tag{{":lower", 0, "", "40"}, {":upper", 0, "", "40"}, {":lowerfirst", 0, "", "30"}, {":upperfirst", 0, "", "30"},
		{":quotewildcard", 0, "", "20"}, {":quoteregex", 0, "regex", "20"}, {":encodeurl", 0, "enotify", "15"}, {":length", 0, "", "10"}}
}

// modify applies modifiers, those of high precedence first.
func (k *call) modify(value string) string {
	for _, t := range modifierTags() {
		if k.has(t.name) {
			value = modify(t.name, value)
		}
	}
	return value
}

func modify(how, s string) string {
	switch how {
	case ":lower":
		return strings.ToLower(s)
	case ":upper":
		return strings.ToUpper(s)
	case ":lowerfirst":
		return first(s, unicode.ToLower)
	case ":upperfirst":
		return first(s, unicode.ToUpper)
	case ":quotewildcard":
		return match.QuoteWild(s)
	case ":quoteregex":
		return match.QuoteRegex(s)
	case ":encodeurl":
		return encodeURL(s)
	}
	return strconv.Itoa(utf8.RuneCountInString(s))
}

func first(s string, change func(rune) rune) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(change(r)) + s[n:]
}

// encodeURL escapes what is not unreserved in a URI (RFC 5435, section 6).
func encodeURL(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// set compiles RFC 5229, section 4.
func (c *compiler) set(k *call) (action, *Error) {
	name, err := c.variableName(k.args[0])
	if err != nil {
		return nil, err
	}
	value, err := c.one(k.args[1])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) {
		s, err := m.expand(value)
		if err != nil {
			return stopped, err
		}
		if err := m.budget.Spend(len(s)); err != nil {
			return stopped, err
		}
		s = k.modify(s)
		m.tell(k.Line, "set: %s = %s", name, quote(s))
		return onward, m.setVariable(name, s)
	}, nil
}

// stringTest compiles RFC 5229, section 5.
func (c *compiler) stringTest(k *call) (check, *Error) {
	sources, err := c.texts(k.args[0])
	if err != nil {
		return nil, err
	}
	t, err := c.matcher(k, k.args[1])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (bool, error) {
		texts, err := m.expandAll(sources)
		if err != nil {
			return false, err
		}
		subjects := subjectsOf(texts...)
		if t.counts() { // of those that are not empty
			kept := subjects[:0]
			for _, s := range subjects {
				if s.Text != "" {
					kept = append(kept, s)
				}
			}
			subjects = kept
		}
		return t.any(m, subjects)
	}, nil
}
