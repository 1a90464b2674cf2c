package sieve

import (
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// spec says what a command or test takes and what it becomes.
type spec struct {
	ext    []string // one of which must be required; empty: none
	tags   []tag
	args   []string // the ways of the positional arguments: s is a string, l strings, n a number; empty: none are taken
	tests  int      // none, one, or many (-1) in parentheses
	block  bool
	action func(*compiler, *call) (action, *Error)
	check  func(*compiler, *call) (check, *Error)
}

// tag is a tagged argument.
type tag struct {
	name  string // with its colon
	arg   byte   // s, l or n as in spec.args; 0: none
	ext   string // that must be required; empty: none
	group string // of which only one may be there; empty: any
}

// call is a command or test with its arguments sorted out.
type call struct {
	*syntax.Node
	tags map[string]*syntax.Argument // the arguments of tags, or the tags themselves where they take none
	args []*syntax.Argument
}

func (k *call) has(tag string) bool { return k.tags[tag] != nil }

// number gives the number of a tag, or another one where the tag is not there.
func (k *call) number(tag string, without uint64) uint64 {
	if a := k.tags[tag]; a != nil {
		return a.Number
	}
	return without
}

// call sorts the arguments of a node out; known tells that there is such a command or test.
func (c *compiler) call(n *syntax.Node, s spec, known bool, what string) (*call, *Error) {
	if !known {
		return nil, c.unknown(n.Pos, "the %s %s is not supported", what, quote(n.Name))
	}
	if len(s.ext) > 0 && !c.anyEnabled(s.ext) {
		return nil, c.unknown(n.Pos, "%s needs: require %s", n.Name, quote(s.ext[0]))
	}
	k := &call{Node: n, tags: map[string]*syntax.Argument{}}
	groups := map[string]string{}
	for i := 0; i < len(n.Args); i++ {
		a := &n.Args[i]
		if a.Kind != syntax.Tag {
			k.args = append(k.args, a)
			continue
		}
		if len(k.args) > 0 {
			return nil, syntax.Errorf(a.Pos, "the tag %s stands behind an argument of %s without a tag", a.Tag, n.Name)
		}
		t, err := c.tag(n, s, a, groups)
		if err != nil {
			return nil, err
		}
		if k.has(t.name) {
			return nil, syntax.Errorf(a.Pos, "the tag %s twice", a.Tag)
		}
		k.tags[t.name] = a
		if t.arg != 0 {
			if i++; i == len(n.Args) || !fits(&n.Args[i], t.arg) {
				return nil, syntax.Errorf(a.Pos, "the tag %s takes %s", a.Tag, kindName(t.arg))
			}
			k.tags[t.name] = &n.Args[i]
		}
	}
	return k, checkShape(k, s)
}

func (c *compiler) anyEnabled(names []string) bool {
	for _, name := range names {
		if c.enabled[name] {
			return true
		}
	}
	return false
}

// tag finds what a tag is.
func (c *compiler) tag(n *syntax.Node, s spec, a *syntax.Argument, groups map[string]string) (tag, *Error) {
	for _, t := range s.tags {
		if t.name != a.Tag {
			continue
		}
		if t.ext != "" && !c.enabled[t.ext] {
			return t, c.unknown(a.Pos, "the tag %s needs: require %s", a.Tag, quote(t.ext))
		}
		if other := groups[t.group]; t.group != "" && other != "" && other != t.name {
			return t, syntax.Errorf(a.Pos, "the tags %s and %s exclude each other", other, a.Tag)
		}
		groups[t.group] = t.name
		return t, nil
	}
	return tag{}, c.unknown(a.Pos, "%s has no tag %s", n.Name, a.Tag)
}

func fits(a *syntax.Argument, kind byte) bool {
	switch kind {
	case 's':
		return a.Kind == syntax.Strings && !a.List
	case 'l':
		return a.Kind == syntax.Strings
	}
	return a.Kind == syntax.Number
}

func kindName(kind byte) string {
	switch kind {
	case 's':
		return "a string"
	case 'l':
		return "a string or a list of them"
	}
	return "a number"
}

// checkShape checks the positional arguments, the tests and the block.
func checkShape(k *call, s spec) *Error {
	if !matchesAny(k.args, s.args) {
		return syntax.Errorf(k.Pos, "%s takes %s", k.Name, s.usage())
	}
	switch {
	case s.tests == 0 && len(k.Tests) > 0:
		return syntax.Errorf(k.Tests[0].Pos, "%s takes no test", k.Name)
	case s.tests == 1 && (len(k.Tests) != 1 || k.List):
		return syntax.Errorf(k.Pos, "%s takes one test", k.Name)
	case s.tests < 0 && !k.List:
		return syntax.Errorf(k.Pos, "%s takes a list of tests in parentheses", k.Name)
	case k.Brace != s.block:
		return syntax.Errorf(k.Pos, "%s %s block in braces", k.Name, map[bool]string{true: "needs a", false: "takes no"}[s.block])
	}
	return nil
}

func matchesAny(args []*syntax.Argument, ways []string) bool {
	if len(ways) == 0 {
		return len(args) == 0
	}
	for _, way := range ways {
		ok := len(way) == len(args)
		for i := 0; ok && i < len(way); i++ {
			ok = fits(args[i], way[i])
		}
		if ok {
			return true
		}
	}
	return false
}

// usage says what the positional arguments are.
func (s spec) usage() string {
	var ways []string
	for _, way := range s.args {
		var names []string
		for i := range way {
			names = append(names, kindName(way[i]))
		}
		if len(names) == 0 {
			names = []string{"no argument"}
		}
		ways = append(ways, strings.Join(names, ", "))
	}
	if len(ways) == 0 {
		return "no argument without a tag"
	}
	return "as arguments " + strings.Join(ways, "; or ")
}

// writeArgument gives an argument as it stands in the script.
func writeArgument(b *strings.Builder, a syntax.Argument) {
	switch a.Kind {
	case syntax.Tag:
		b.WriteString(a.Tag)
	case syntax.Number:
		b.WriteString(strconv.FormatUint(a.Number, 10))
	default:
		if a.List {
			b.WriteByte('[')
		}
		for i, s := range a.Strings {
			if i > 0 {
				b.WriteString(", ")
			}
			if b.Len() > maxStep {
				break
			}
			b.WriteString(quote(s.Text))
		}
		if a.List {
			b.WriteByte(']')
		}
	}
}
