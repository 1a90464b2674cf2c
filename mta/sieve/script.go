package sieve

import (
	"errors"

	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// Script is a script that was found correct. Any number of goroutines may run it.
type Script struct {
	limits Limits
	size   int
	block  []action
}

// Compile reads a script and checks all that can be known of it before a message comes. The error is an *Error: the first one.
func Compile(script []byte, limits Limits) (*Script, error) {
	limits = limits.withDefaults()
	nodes, err := syntax.Parse(script, syntax.Limits{Octets: limits.Octets, Nesting: limits.Nesting})
	if err != nil {
		return nil, err
	}
	c := &compiler{limits: limits, enabled: map[string]bool{}}
	block, err := c.script(nodes)
	if err != nil {
		return nil, err
	}
	return &Script{limits: limits, size: len(script), block: block}, nil
}

// Size gives the octets of the script's text.
func (s *Script) Size() int { return s.size }

// Run runs the script over one message. It always gives an Outcome that can be carried out; with an error, which is an *Error or that
// of reading the message, it is the implicit keep alone (RFC 5228, section 2.10.6).
func (s *Script) Run(in Input) (*Outcome, error) {
	m, err := newMachine(s, in)
	if err != nil {
		return m.failed(err), err
	}
	if _, err := m.run(s.block); err != nil {
		var known *Error
		if !errors.As(err, &known) {
			err = &Error{Text: err.Error()}
		}
		return m.failed(err), err
	}
	m.finish()
	return &m.out, nil
}
