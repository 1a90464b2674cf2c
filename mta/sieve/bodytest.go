package sieve

import (
	"fmt"

	"github.com/rookery-mail/rookery/mta/sieve/match"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// body compiles RFC 5173. Where the script says nothing else, the text of the message is compared.
func (c *compiler) body(k *call) (check, *Error) {
	t, err := c.matcher(k, k.args[0])
	if err != nil {
		return nil, err
	}
	t.mute = true
	var types []text
	if a := k.tags[":content"]; a != nil {
		if types, err = c.texts(a); err != nil {
			return nil, err
		}
	}
	return func(m *machine) (bool, error) {
		subjects, err := m.bodies(k, types)
		if err != nil {
			return false, err
		}
		return t.any(m, subjects)
	}, nil
}

func (m *machine) bodies(k *call, types []text) (subjects []*match.Subject, err error) {
	switch {
	case !m.letter.HasBody():
		return nil, nil
	case k.has(":raw"):
		raw, err := m.letter.Raw()
		if err != nil {
			return nil, fmt.Errorf("read the message: %w", err)
		}
		return []*match.Subject{raw}, nil
	case k.has(":content"):
		names, err := m.expandAll(types)
		if err != nil {
			return nil, err
		}
		subjects, err = m.letter.Contents(names)
		if err != nil {
			return nil, fmt.Errorf("read the message: %w", err)
		}
	default:
		if subjects, err = m.letter.Texts(); err != nil {
			return nil, fmt.Errorf("read the message: %w", err)
		}
	}
	return subjects, m.budget.Spend(10 * len(subjects))
}

// extractText compiles RFC 5703, section 7.
func (c *compiler) extractText(k *call) (action, *Error) {
	if !c.enabled["variables"] {
		return nil, c.unknown(k.Pos, `extracttext needs: require "variables"`)
	}
	if len(c.loops) == 0 {
		return nil, syntax.Errorf(k.Pos, "extracttext stands in a foreverypart")
	}
	name, err := c.variableName(k.args[0])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) {
		s, err := m.part.Readable()
		if err != nil {
			return stopped, fmt.Errorf("read the message: %w", err)
		}
		value := ""
		if typ, _ := m.part.Type(); s != nil && typ == "text" {
			value = s.Text
		}
		if k.has(":first") {
			value = firstCharacters(value, k.number(":first", 0))
		}
		value = k.modify(cut(value, maxExpanded))
		m.tell(k.Line, "extracttext: %s = %s", name, quote(value))
		if err := m.budget.Spend(len(value)); err != nil {
			return stopped, err
		}
		return onward, m.setVariable(name, value)
	}, nil
}

func firstCharacters(s string, n uint64) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
