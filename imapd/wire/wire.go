// Package wire is the grammar of IMAP (RFC 9051 and RFC 3501 with the extensions that package engine
// serves): it reads commands into typed values and writes responses. It holds limits, so that no
// input can make it use unbounded memory, and it knows where a command ends even when it is wrong,
// so that a literal's octets are never taken for a command.
//
// It decides nothing: which commands are allowed when, and what they do, is package engine's.
package wire

import (
	"errors"
	"fmt"
)

// Limits bound what one command may hold. Sizes are octets.
type Limits struct {
	Line    int   // all of a command but its literals
	Literal int64 // one literal that is kept in memory, and the sum of a command's
	Depth   int   // nested parentheses
	Drain   int64 // the most that is read and dropped after a wrong command before giving up
}

// DefaultLimits are the limits that a server starts with.
func DefaultLimits() Limits {
	return Limits{Line: 64 << 10, Literal: 64 << 10, Depth: 32, Drain: 1 << 20}
}

// ErrOutOfSync says that the rest of a wrong command is longer than what is worth reading, or that
// its end cannot be known. The connection has to be closed.
var ErrOutOfSync = errors.New("cannot find the end of the command")

// SyntaxError says what is wrong with a command. The command was skipped; the next can be read.
type SyntaxError struct {
	Tag    string // "" where not even the tag could be read
	Name   string // of the command, "" where not read
	Text   string
	TooBig bool // a literal was larger than allowed: NO [TOOBIG] rather than BAD (RFC 7889)
	Empty  bool // there was nothing but the line end
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("read command %s: %s", e.Name, e.Text) }
