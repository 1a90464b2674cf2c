package sieve

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// global compiles RFC 6609, section 3.4.1.
func (c *compiler) global(k *call) (action, *Error) {
	if !c.enabled["variables"] {
		return nil, c.unknown(k.Pos, `global needs: require "variables"`)
	}
	var names []string
	for i := range k.args[0].Strings {
		name, err := c.variableName(&syntax.Argument{Pos: k.args[0].Pos, Strings: k.args[0].Strings[i : i+1]})
		if err != nil {
			return nil, err
		}
		if strings.Contains(name, ".") {
			return nil, syntax.Errorf(k.args[0].Pos, "%s: global takes names without a namespace", quote(name))
		}
		names = append(names, name)
	}
	return func(m *machine) (flow, error) {
		for _, name := range names {
			if _, set := m.frame.vars[name]; set {
				return stopped, fmt.Errorf("%s is a variable of this script already", name)
			}
			if m.frame.shared == nil {
				m.frame.shared = map[string]bool{}
			}
			m.frame.shared[name] = true
		}
		return onward, nil
	}, nil
}

// include compiles RFC 6609, section 3.2.
func (c *compiler) include(k *call) (action, *Error) {
	name, err := c.constant(k.args[0])
	if err != nil {
		return nil, err
	}
	key := script{Personal, name}
	if k.has(":global") {
		key.where = Global
	}
	return func(m *machine) (flow, error) { return m.include(k, key) }, nil
}

func (m *machine) include(k *call, key script) (flow, error) {
	if k.has(":once") && m.included[key] {
		return onward, nil
	}
	for f := m.frame; f != nil; f = f.outer {
		if f.depth > 0 && f.key == key {
			return stopped, fmt.Errorf("%s includes itself", quote(key.name))
		}
	}
	if m.frame.depth >= m.limits.Depth {
		return stopped, fmt.Errorf("includes are nested deeper than %d", m.limits.Depth)
	}
	if m.limits.Includes--; m.limits.Includes < 0 {
		return stopped, errors.New("too many scripts are included")
	}
	s, err := m.load(key)
	if err != nil {
		if errors.Is(err, ErrNoScript) && k.has(":optional") {
			m.tell(k.Line, "include: %s is not there", quote(key.name))
			return onward, nil
		}
		return stopped, &Error{Pos: k.Pos, Text: fmt.Sprintf("include %s: %v", quote(key.name), err)}
	}
	m.included[key] = true
	m.tell(k.Line, "include: %s", quote(key.name))
	m.frame = &frame{name: key.name, key: key, outer: m.frame, depth: m.frame.depth + 1, vars: map[string]string{}}
	part := m.part
	m.part = nil
	f, err := m.run(s.block)
	m.part = part
	m.frame = m.frame.outer
	if err != nil {
		return stopped, &Error{Pos: k.Pos, Text: fmt.Sprintf("include %s: %v", quote(key.name), err)}
	}
	if f == returned {
		f = onward
	}
	return f, nil
}

// load asks for a script, once in a run.
func (m *machine) load(key script) (*Script, error) {
	if s := m.loaded[key]; s != nil {
		return s, nil
	}
	if m.in.Scripts == nil {
		return nil, ErrNoScript
	}
	s, err := m.in.Scripts.Script(key.where, key.name)
	if err != nil {
		return nil, err
	}
	m.loaded[key] = s
	return s, nil
}

// ret ends an included script (RFC 6609, section 3.3).
func (c *compiler) ret(*call) (action, *Error) {
	return func(*machine) (flow, error) { return returned, nil }, nil
}

// fail is the command error of RFC 5463, section 5.
func (c *compiler) fail(k *call) (action, *Error) {
	t, err := c.one(k.args[0])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) {
		s, err := m.expand(t)
		if err == nil {
			err = errors.New(cut(s, maxStep))
		}
		return stopped, err
	}, nil
}
