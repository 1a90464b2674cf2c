package sieve

import (
	"strings"

	"github.com/rookery-mail/rookery/mta/sieve/match"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// matcher compares subjects with keys.
type matcher struct {
	rule match.Rule
	keys []key
	mute bool // no match variables are set (RFC 5173, section 6)
}

// key is prepared where it is constant.
type key struct {
	ready *match.Key
	text  text
}

// matchTags are the tags of all tests that compare.
func matchTags(more ...tag) []tag {
	return append([]tag{
		{":is", 0, "", "match type"}, {":contains", 0, "", "match type"}, {":matches", 0, "", "match type"},
		{":regex", 0, "regex", "match type"}, {":value", 's', "relational", "match type"},
		{":count", 's', "relational", "match type"}, {":comparator", 's', "", ""},
	}, more...)
}

// matcher compiles the keys of a test with its tags.
func (c *compiler) matcher(k *call, keys *syntax.Argument) (*matcher, *Error) {
	rule, err := c.rule(k)
	if err != nil {
		return nil, err
	}
	m := &matcher{rule: rule}
	texts, err := c.texts(keys)
	if err != nil {
		return nil, err
	}
	for i, t := range texts {
		one := key{text: t}
		if t.constant() {
			var wrong error
			if one.ready, wrong = rule.Prepare(t.literal, c.limits.Regex); wrong != nil {
				return nil, syntax.Errorf(keys.Strings[i].Pos, "%v", wrong)
			}
			if c.instructions += one.ready.Instructions(); c.instructions > maxInstructions {
				return nil, syntax.Errorf(keys.Strings[i].Pos, "the regular expressions have more than %d instructions together", maxInstructions)
			}
		}
		m.keys = append(m.keys, one)
	}
	return m, nil
}

func (c *compiler) rule(k *call) (rule match.Rule, err *Error) {
	for name, kind := range map[string]match.Kind{":contains": match.Contains, ":matches": match.Matches, ":regex": match.Regex,
		":value": match.Value, ":count": match.Count} {
		a := k.tags[name]
		if a == nil {
			continue
		}
		rule.Kind = kind
		if kind != match.Value && kind != match.Count {
			continue
		}
		word, err := c.constant(a)
		if err != nil {
			return rule, err
		}
		ok := false
		if rule.Relation, ok = match.ParseRelation(strings.ToLower(word)); !ok {
			return rule, syntax.Errorf(a.Pos, "%s is no relation: gt, ge, lt, le, eq and ne are", quote(word))
		}
	}
	if a := k.tags[":comparator"]; a != nil {
		name, err := c.constant(a)
		if err != nil {
			return rule, err
		}
		ok := false
		if rule.Comparator, ok = match.ParseComparator(name); !ok {
			return rule, c.unknown(a.Pos, "the comparator %s is not supported", quote(name))
		}
		if rule.Comparator == match.Numeric && !c.enabled["comparator-i;ascii-numeric"] {
			return rule, c.unknown(a.Pos, `i;ascii-numeric needs: require "comparator-i;ascii-numeric"`)
		}
		if rule.Comparator == match.Numeric && (rule.Kind == match.Contains || rule.Kind == match.Matches || rule.Kind == match.Regex) {
			return rule, syntax.Errorf(a.Pos, "i;ascii-numeric compares whole numbers alone")
		}
	}
	return rule, nil
}

// counts tells that the number of subjects is compared, not what they are.
func (t *matcher) counts() bool { return t.rule.Kind == match.Count }

// any tells whether a subject matches a key; with :count whether their number does.
func (t *matcher) any(m *machine, subjects []*match.Subject) (bool, error) {
	if t.counts() {
		subjects = []*match.Subject{match.CountOf(len(subjects))}
	}
	if len(subjects) == 0 {
		return false, nil
	}
	for _, k := range t.keys {
		ready := k.ready
		if ready == nil {
			var err error
			if ready, err = t.prepare(m, k.text); err != nil {
				return false, err
			}
		}
		for _, s := range subjects {
			ok, captures, err := ready.Match(s, &m.budget)
			if err != nil {
				return false, err
			}
			if ok {
				if captures != nil && !t.mute {
					m.frame.captures = captures
				}
				return true, nil
			}
		}
	}
	return false, nil
}

// maxInstructions bounds the regular expressions of a script together, which take some hundred octets of memory for each instruction.
const maxInstructions = 50_000

// What a regular expression costs that is compiled in a run: for each octet, and for each instruction that comes of it.
const (
	regexWork       = 200
	instructionWork = 50
)

func (t *matcher) prepare(m *machine, key text) (*match.Key, error) {
	s, err := m.expand(key)
	if err != nil {
		return nil, err
	}
	if t.rule.Kind == match.Regex {
		if err := m.budget.Spend(regexWork * len(s)); err != nil {
			return nil, err
		}
	}
	k, err := t.rule.Prepare(s, m.limits.Regex)
	if err != nil {
		return nil, err
	}
	return k, m.budget.Spend(instructionWork * k.Instructions())
}

// subjectsOf makes subjects of texts.
func subjectsOf(texts ...string) []*match.Subject {
	list := make([]*match.Subject, len(texts))
	for i, t := range texts {
		list[i] = &match.Subject{Text: t}
	}
	return list
}
