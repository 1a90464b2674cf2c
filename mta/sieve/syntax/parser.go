package syntax

// Parse reads a script. The error is the first one, with its place.
func Parse(script []byte, limits Limits) ([]*Node, *Error) {
	limits = limits.withDefaults()
	if len(script) > limits.Octets {
		return nil, Errorf(Pos{}, "the script has %d octets, %d are allowed", len(script), limits.Octets)
	}
	l, err := newLexer(script)
	if err != nil {
		return nil, err
	}
	p := &parser{lexer: l, limits: limits}
	if err := p.advance(); err != nil {
		return nil, err
	}
	nodes, err := p.commands(0)
	if err != nil {
		return nil, err
	}
	if p.t.kind != tokenEnd {
		return nil, Errorf(p.t.Pos, "%v closes nothing", p.t)
	}
	return nodes, nil
}

// parser reads tokens with one ahead.
type parser struct {
	*lexer
	t      token
	limits Limits
	nodes  int
}

func (p *parser) advance() (err *Error) {
	p.t, err = p.next()
	return err
}

func (p *parser) isMark(c byte) bool { return p.t.kind == tokenMark && p.t.mark == c }

// commands reads up to what is no command.
func (p *parser) commands(depth int) ([]*Node, *Error) {
	var list []*Node
	for p.t.kind == tokenIdentifier {
		n, err := p.node(depth)
		if err != nil {
			return nil, err
		}
		switch {
		case p.isMark(';'):
			err = p.advance()
		case p.isMark('{'):
			err = p.block(n, depth+1)
		default:
			err = Errorf(p.t.Pos, "%v where a ';' or a block in braces ends the command %s", p.t, n.Name)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	if p.t.kind != tokenEnd && !p.isMark('}') {
		return nil, Errorf(p.t.Pos, "%v where a command is expected", p.t)
	}
	return list, nil
}

// block reads commands in braces.
func (p *parser) block(n *Node, depth int) (err *Error) {
	n.Brace = true
	open := p.t.Pos
	if err := p.advance(); err != nil {
		return err
	}
	if n.Block, err = p.commands(depth); err != nil {
		return err
	}
	if !p.isMark('}') {
		return Errorf(open, "a '{' without its '}'")
	}
	return p.advance()
}

// node reads the name of a command or test, its arguments and its tests.
func (p *parser) node(depth int) (*Node, *Error) {
	n := &Node{Pos: p.t.Pos, Name: p.t.text}
	if p.nodes++; p.nodes > p.limits.Nodes {
		return nil, Errorf(n.Pos, "more than %d commands and tests", p.limits.Nodes)
	}
	if depth > p.limits.Nesting {
		return nil, Errorf(n.Pos, "blocks or tests are nested deeper than %d", p.limits.Nesting)
	}
	err := p.advance()
	for more := true; more && err == nil; {
		more, err = p.argument(n)
	}
	if err != nil {
		return nil, err
	}
	return n, p.tests(n, depth+1)
}

// argument reads one argument, or tells that none is there.
func (p *parser) argument(n *Node) (bool, *Error) {
	a := Argument{Pos: p.t.Pos}
	switch {
	case p.t.kind == tokenTag:
		a.Kind, a.Tag = Tag, p.t.text
	case p.t.kind == tokenNumber:
		a.Kind, a.Number = Number, p.t.number
	case p.t.kind == tokenString:
		a.Kind, a.Strings = Strings, []String{{p.t.Pos, p.t.text}}
	case p.isMark('['):
		a.Kind, a.List = Strings, true
		if err := p.list(&a); err != nil {
			return false, err
		}
	default:
		return false, nil
	}
	n.Args = append(n.Args, a)
	return true, p.advance()
}

// list reads strings up to the bracket that closes them.
func (p *parser) list(a *Argument) *Error {
	for {
		if err := p.advance(); err != nil {
			return err
		}
		if p.t.kind != tokenString {
			return Errorf(p.t.Pos, "%v in a list of strings", p.t)
		}
		a.Strings = append(a.Strings, String{p.t.Pos, p.t.text})
		if err := p.advance(); err != nil {
			return err
		}
		if p.isMark(']') {
			return nil
		}
		if !p.isMark(',') {
			return Errorf(p.t.Pos, "%v in a list of strings, where a ',' or a ']' is expected", p.t)
		}
	}
}

// tests reads a test, or a list of them in parentheses.
func (p *parser) tests(n *Node, depth int) *Error {
	if p.t.kind == tokenIdentifier {
		t, err := p.node(depth)
		n.Tests = []*Node{t}
		return err
	}
	if !p.isMark('(') {
		return nil
	}
	n.List = true
	for {
		if err := p.advance(); err != nil {
			return err
		}
		if p.t.kind != tokenIdentifier {
			return Errorf(p.t.Pos, "%v where a test is expected", p.t)
		}
		t, err := p.node(depth)
		if err != nil {
			return err
		}
		n.Tests = append(n.Tests, t)
		if p.isMark(')') {
			return p.advance()
		}
		if !p.isMark(',') {
			return Errorf(p.t.Pos, "%v in a list of tests, where a ',' or a ')' is expected", p.t)
		}
	}
}
