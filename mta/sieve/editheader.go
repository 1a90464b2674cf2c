package sieve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/sieve/letter"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// maxEdits is how often a run may change the message.
const maxEdits = 100

// errEdits says that maxEdits is not enough.
var errEdits = fmt.Errorf("the message is changed more than %d times", maxEdits)

// edit takes one of the changes that a run may make, with the octets that it writes.
func (m *machine) edit(octets int) error {
	if m.edits++; m.edits > maxEdits {
		return errEdits
	}
	return m.budget.Spend(octets + m.letter.Len())
}

// addHeader compiles RFC 5293, section 4.
func (c *compiler) addHeader(k *call) (action, *Error) {
	var texts [2]text
	for i := range texts {
		var err *Error
		if texts[i], err = c.one(k.args[i]); err != nil {
			return nil, err
		}
	}
	if name := texts[0]; name.constant() && !isFieldName(name.literal) {
		return nil, syntax.Errorf(k.args[0].Pos, "%s cannot be the name of a field", quote(name.literal))
	}
	return func(m *machine) (flow, error) {
		all, err := m.expandAll(texts[:])
		if err != nil {
			return stopped, err
		}
		name, value := all[0], all[1]
		if !isFieldName(name) {
			return stopped, fmt.Errorf("%s cannot be the name of a field", quote(name))
		}
		if len(value) > maxField {
			return stopped, fmt.Errorf("a field of %d octets, %d are allowed", len(value), maxField)
		}
		if isProtected(name) {
			m.tell(k.Line, "addheader: %s is not for scripts", name)
			return onward, nil
		}
		if err := m.edit(len(value)); err != nil {
			return stopped, err
		}
		value = strings.TrimSpace(strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ").Replace(value))
		m.letter.Add(name, value, k.has(":last"))
		m.tell(k.Line, "addheader: %s: %s", name, quote(value))
		return onward, nil
	}, nil
}

// maxField is the longest value of a field that a script adds, in octets.
const maxField = 8 << 10

// isFieldName tells whether a text can be the name of a field (RFC 5322, section 3.6.8).
func isFieldName(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != "" && len(s) <= 76
}

// isProtected tells the fields that scripts do not change (RFC 5293, section 6): the trace of the message and what says who it is from.
func isProtected(name string) bool {
	name = strings.ToLower(name)
	return slices.Contains([]string{"received", "auto-submitted", "return-path", "authentication-results", "delivered-to"}, name) ||
		strings.HasPrefix(name, "arc-")
}

// deleteHeader compiles RFC 5293, section 5.
func (c *compiler) deleteHeader(k *call) (action, *Error) {
	s, err := c.source(k, k.args[0])
	if err != nil {
		return nil, err
	}
	if !isFieldName(s.names[0].literal) && s.names[0].constant() {
		return nil, syntax.Errorf(k.args[0].Pos, "%s cannot be the name of a field", quote(s.names[0].literal))
	}
	var t *matcher
	if len(k.args) == 2 {
		if t, err = c.matcher(k, k.args[1]); err != nil {
			return nil, err
		}
		if t.counts() {
			return nil, syntax.Errorf(k.Pos, "deleteheader does not count")
		}
		t.mute = true
	} else if _, err := c.rule(k); err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) { return onward, m.deleteHeader(k, s, t) }, nil
}

func (m *machine) deleteHeader(k *call, s source, t *matcher) error {
	name, err := m.expand(s.names[0])
	if err != nil {
		return err
	}
	if isProtected(name) {
		m.tell(k.Line, "deleteheader: %s is not for scripts", name)
		return nil
	}
	var gone []*letter.Field
	err = m.eachField(s, func(f *letter.Field) error {
		if t != nil {
			if ok, err := t.any(m, subjectsOf(f.Subject().Text)); err != nil || !ok {
				return err
			}
		}
		gone = append(gone, f)
		return nil
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	if err := m.edit(len(gone) * m.letter.Len()); err != nil {
		return err
	}
	m.tell(k.Line, "deleteheader: %d of %s", m.letter.Delete(gone...), name)
	return nil
}
