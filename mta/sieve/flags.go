package sieve

import (
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/sieve/match"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// maxFlags is how many flags a message or a variable gets.
const maxFlags = 100

// isFlag tells whether a text can be a flag (RFC 9051, section 9: flag).
func isFlag(s string) bool {
	name := strings.TrimPrefix(s, `\`)
	for i := 0; i < len(name); i++ {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return name != "" && len(s) <= 128
}

// splitFlags adds the flags of texts, each of which may hold several (RFC 5232, section 2). What is no flag is passed over; \Recent is
// none that can be set.
func splitFlags(flags []string, texts []string) []string {
	flags = slices.Clone(flags)
	for _, t := range texts {
		for word := range strings.FieldsSeq(t) {
			if isFlag(word) && !strings.EqualFold(word, `\Recent`) && len(flags) < maxFlags && !hasFlag(flags, word) {
				flags = append(flags, systemFlag(word))
			}
		}
	}
	return flags
}

// systemFlag writes the flags of IMAP as IMAP does.
func systemFlag(word string) string {
	for _, f := range [...]string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`} {
		if strings.EqualFold(word, f) {
			return f
		}
	}
	return word
}

func hasFlag(flags []string, flag string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return strings.EqualFold(f, flag) })
}

// changeFlags compiles setflag, addflag and removeflag (RFC 5232, section 3).
func (c *compiler) changeFlags(k *call) (action, *Error) {
	name, err := c.flagVariable(k.args)
	if err != nil {
		return nil, err
	}
	list, err := c.texts(k.args[len(k.args)-1])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) {
		words, err := m.expandAll(list)
		if err != nil {
			return stopped, err
		}
		flags := m.flagsOf(name)
		switch k.Name {
		case "setflag":
			flags = splitFlags(nil, words)
		case "addflag":
			flags = splitFlags(flags, words)
		default:
			gone := splitFlags(nil, words)
			flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return hasFlag(gone, f) })
		}
		m.tell(k.Line, "%s: %s", k.Name, strings.Join(flags, " "))
		if name == "" {
			m.flags = flags
			return onward, nil
		}
		return onward, m.setVariable(name, strings.Join(flags, " "))
	}, nil
}

// flagVariable gives the variable that the first of two arguments names; "" for the internal one.
func (c *compiler) flagVariable(args []*syntax.Argument) (string, *Error) {
	if len(args) < 2 {
		return "", nil
	}
	if !c.enabled["variables"] {
		return "", c.unknown(args[0].Pos, `flags in a variable need: require "variables"`)
	}
	return c.variableName(args[0])
}

// flagsOf gives the flags of a variable; of the internal one for "".
func (m *machine) flagsOf(name string) []string {
	if name == "" {
		return m.flags
	}
	return splitFlags(nil, []string{m.variable(name)})
}

// hasFlag compiles the test of RFC 5232, section 4.
func (c *compiler) hasFlag(k *call) (check, *Error) {
	var names []string
	if len(k.args) == 2 {
		if !c.enabled["variables"] {
			return nil, c.unknown(k.Pos, `flags in a variable need: require "variables"`)
		}
		for i := range k.args[0].Strings {
			name, err := c.variableName(&syntax.Argument{Pos: k.args[0].Pos, Strings: k.args[0].Strings[i : i+1]})
			if err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	} else {
		names = []string{""}
	}
	t, err := c.matcher(k, splitWords(k.args[len(k.args)-1]))
	if err != nil {
		return nil, err
	}
	return func(m *machine) (bool, error) {
		var flags []*match.Subject
		for _, name := range names {
			flags = append(flags, subjectsOf(m.flagsOf(name)...)...)
		}
		return t.any(m, flags)
	}, nil
}

// splitWords makes a string of each flag in strings that hold several (RFC 5232, section 2). A string with a variable stays as it is.
func splitWords(a *syntax.Argument) *syntax.Argument {
	out := *a
	out.Strings = nil
	for _, s := range a.Strings {
		words := strings.Fields(s.Text)
		if len(words) == 0 || strings.Contains(s.Text, "${") {
			words = []string{s.Text}
		}
		for _, w := range words {
			out.Strings = append(out.Strings, syntax.String{Pos: s.Pos, Text: w})
		}
	}
	return &out
}
