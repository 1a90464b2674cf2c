// Package syntax reads the text of a Sieve script into a tree of commands with their places (RFC 5228, sections 2 and 8). It knows the
// grammar alone: which commands, tests and tags there are, and what they take, is for mta/sieve to say.
package syntax

import "fmt"

// Pos is a place in a script: lines and columns from 1, columns in characters.
type Pos struct {
	Line, Column int
}

// Error says where a script is wrong and how.
type Error struct {
	Pos
	Text string
}

// Error gives "line L, column C: text"; the text alone where there is no place.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Text
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
}

// Errorf makes an Error at a place.
func Errorf(at Pos, format string, args ...any) *Error {
	return &Error{Pos: at, Text: fmt.Sprintf(format, args...)}
}

// Node is a command or a test: a name with its arguments, the tests behind them, and a command's block.
type Node struct {
	Pos
	Name  string // in lower case
	Args  []Argument
	Tests []*Node // one, or those of a list in parentheses
	List  bool    // the tests stood in parentheses
	Block []*Node
	Brace bool // a block is there, perhaps an empty one
}

// Kind is what an argument is.
type Kind uint8

// The kinds of an argument.
const (
	Tag Kind = iota + 1
	Number
	Strings // one string, or a list of them in brackets
)

// String gives the kind's name.
func (k Kind) String() string { return [...]string{"nothing", "a tag", "a number", "a string"}[k] }

// Argument is a tag, a number or strings.
type Argument struct {
	Pos
	Kind    Kind
	Tag     string // in lower case with its colon
	Number  uint64
	Strings []String
	List    bool // the strings stood in brackets
}

// String is a string of a script, its quotes or dots undone and its line ends CRLF.
type String struct {
	Pos
	Text string
}

// Limits bound a script.
type Limits struct {
	Octets  int // of the whole text; default 256 KiB
	Nesting int // of blocks and tests in each other; default 32
	Nodes   int // commands and tests; default 20,000
}

func (l Limits) withDefaults() Limits {
	if l.Octets <= 0 {
		l.Octets = 256 << 10
	}
	if l.Nesting <= 0 {
		l.Nesting = 32
	}
	if l.Nodes <= 0 {
		l.Nodes = 20_000
	}
	return l
}
