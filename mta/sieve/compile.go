package sieve

import (
	"errors"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// compiler checks a script and makes functions of it.
type compiler struct {
	limits  Limits
	enabled map[string]bool // extensions that were required, or that an ihave asks for
	lenient bool            // "ihave" was required: what is not known fails when it is run (RFC 5463, section 4)
	soft    *Error          // the last error that is about something not known
	loops   []string        // names of the foreverypart around

	instructions int // of all regular expressions so far
}

// unknown is an error about what this implementation, or the script's require, does not have.
func (c *compiler) unknown(at syntax.Pos, format string, args ...any) *Error {
	c.soft = syntax.Errorf(at, format, args...)
	return c.soft
}

// script compiles a whole script: require first (RFC 5228, section 3.2).
func (c *compiler) script(nodes []*syntax.Node) ([]action, *Error) {
	for len(nodes) > 0 && nodes[0].Name == "require" {
		if err := c.require(nodes[0]); err != nil {
			return nil, err
		}
		nodes = nodes[1:]
	}
	if c.lenient = c.enabled["ihave"]; c.lenient {
		c.enableAsked(nodes)
	}
	return c.block(nodes)
}

func (c *compiler) require(n *syntax.Node) *Error {
	if len(n.Args) != 1 || n.Args[0].Kind != syntax.Strings || len(n.Tests) > 0 || n.Brace {
		return syntax.Errorf(n.Pos, "require takes a string or a list of strings")
	}
	for _, s := range n.Args[0].Strings {
		if !slices.Contains(Extensions(), s.Text) {
			return syntax.Errorf(s.Pos, "the extension %s is not supported", quote(s.Text))
		}
		c.enable(s.Text)
	}
	return nil
}

// enable lets an extension be used, and those that it brings.
func (c *compiler) enable(name string) {
	c.enabled[name] = true
	switch name {
	case "vacation-seconds":
		c.enabled["vacation"] = true
	case "spamtestplus":
		c.enabled["spamtest"] = true
	}
}

// enableAsked enables the extensions that some ihave asks for: where it is false, what it guards does not run.
func (c *compiler) enableAsked(nodes []*syntax.Node) {
	for _, n := range nodes {
		if n.Name == "ihave" {
			for _, a := range n.Args {
				for _, s := range a.Strings {
					if slices.Contains(Extensions(), s.Text) && !changesStrings(s.Text) {
						c.enable(s.Text)
					}
				}
			}
		}
		c.enableAsked(n.Tests)
		c.enableAsked(n.Block)
	}
}

// changesStrings tells the extensions that say what strings mean: they hold for a whole script or not at all, so that ihave does not
// enable them (RFC 5463, section 4).
func changesStrings(name string) bool { return name == "variables" || name == "encoded-character" }

// block compiles commands in order.
func (c *compiler) block(nodes []*syntax.Node) ([]action, *Error) {
	var list []action
	for len(nodes) > 0 {
		var a action
		var err *Error
		n := nodes[0]
		if n.Name == "if" {
			a, nodes, err = c.branches(nodes)
		} else {
			a, err = c.command(n)
			nodes = nodes[1:]
		}
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// branch is an if, elsif or else.
type branch struct {
	line  int
	text  string // of the test
	test  check  // nil: else
	block []action
}

// branches compiles an if with what belongs to it and gives the commands behind.
func (c *compiler) branches(nodes []*syntax.Node) (action, []*syntax.Node, *Error) {
	var list []branch
	for len(nodes) > 0 {
		n := nodes[0]
		if n.Name != "elsif" && n.Name != "else" && len(list) > 0 {
			break
		}
		if len(list) > 0 && list[len(list)-1].test == nil {
			break // behind an else: command tells what is wrong
		}
		b, err := c.branch(n)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, b)
		nodes = nodes[1:]
	}
	return func(m *machine) (flow, error) { return m.choose(list) }, nodes, nil
}

func (c *compiler) branch(n *syntax.Node) (b branch, err *Error) {
	b.line = n.Line
	want := 1
	if n.Name == "else" {
		want = 0
	}
	if len(n.Args) > 0 || len(n.Tests) != want || n.List || !n.Brace {
		return b, syntax.Errorf(n.Pos, "%s takes %s and a block in braces", n.Name, [...]string{"nothing", "one test"}[want])
	}
	if want == 1 {
		b.text = describe(n.Tests[0])
		if b.test, err = c.test(n.Tests[0]); err != nil {
			return b, err
		}
	}
	b.block, err = c.block(n.Block)
	return b, err
}

// choose runs the first block whose test is true.
func (m *machine) choose(list []branch) (flow, error) {
	for _, b := range list {
		if b.test != nil {
			ok, err := b.test(m)
			if err != nil {
				return stopped, err
			}
			m.tell(b.line, "%s: %t", b.text, ok)
			if !ok {
				continue
			}
		}
		return m.run(b.block)
	}
	return onward, nil
}

// command compiles a command that is no if.
func (c *compiler) command(n *syntax.Node) (action, *Error) {
	if n.Name == "elsif" || n.Name == "else" {
		return nil, syntax.Errorf(n.Pos, "%s without an if before it", n.Name)
	}
	if n.Name == "require" {
		return nil, syntax.Errorf(n.Pos, "require comes before all other commands")
	}
	s := commandSpec(n.Name)
	call, err := c.call(n, s, s.action != nil, "command")
	if err == nil {
		var a action
		if a, err = s.action(c, call); err == nil {
			return placed(n, a), nil
		}
	}
	if c.lenient && err == c.soft {
		return func(*machine) (flow, error) { return stopped, err }, nil
	}
	return nil, err
}

// placed gives errors their place.
func placed(n *syntax.Node, a action) action {
	return func(m *machine) (flow, error) {
		f, err := a(m)
		return f, at(n, err)
	}
}

func at(n *syntax.Node, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return &Error{Pos: n.Pos, Text: n.Name + ": " + err.Error()}
}

// test compiles a test.
func (c *compiler) test(n *syntax.Node) (check, *Error) {
	s := testSpec(n.Name)
	call, err := c.call(n, s, s.check != nil, "test")
	if err == nil {
		var t check
		if t, err = s.check(c, call); err == nil {
			return func(m *machine) (bool, error) {
				if err := m.budget.Spend(10); err != nil {
					return false, at(n, err)
				}
				ok, err := t(m)
				return ok, at(n, err)
			}, nil
		}
	}
	if c.lenient && err == c.soft {
		return func(*machine) (bool, error) { return false, err }, nil
	}
	return nil, err
}

// describe gives a test as it stands in the script, shortened, for traces.
func describe(n *syntax.Node) string {
	var b strings.Builder
	writeNode(&b, n)
	return cut(b.String(), maxStep-20)
}

func writeNode(b *strings.Builder, n *syntax.Node) {
	b.WriteString(n.Name)
	for _, a := range n.Args {
		if b.Len() > maxStep {
			return
		}
		b.WriteByte(' ')
		writeArgument(b, a)
	}
	for i, t := range n.Tests {
		if b.Len() > maxStep {
			return
		}
		b.WriteString([...]string{" ", ", "}[min(i, 1)])
		writeNode(b, t)
	}
}
