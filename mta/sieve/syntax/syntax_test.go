package syntax_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

func TestParse(t *testing.T) {
	nodes, err := syntax.Parse([]byte("\ufeffif allof (a :b 5K [\"x\", \"y\"], c) { d text:\r\n..z\r\n.\r\n; e {} }\n"), syntax.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := print(nodes), `if allof (a :b 5120 ["x", "y"], c) {d ".z\r\n";e {}}`; got != want {
		t.Errorf("parsed as %s, want %s", got, want)
	}
	d := nodes[0].Block[0]
	if d.Line != 1 || d.Column != 36 {
		t.Errorf("d is at %v", d.Pos)
	}
	if e := nodes[0].Block[1]; e.Line != 4 || e.Column != 3 {
		t.Errorf("e is at %v", e.Pos)
	}
}

// TestLimits shows that each bound is kept, and that what is just within is taken.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		script string
		limits syntax.Limits
		want   string
	}{
		{"octets within", "keep;", syntax.Limits{Octets: 5}, ""},
		{"octets", "keep; ", syntax.Limits{Octets: 5}, "the script has 6 octets, 5 are allowed"},
		{"default octets", strings.Repeat("#", 256<<10+1), syntax.Limits{}, "the script has 262145 octets, 262144 are allowed"},
		{"a mebibyte where it is allowed", strings.Repeat(" ", 1<<20), syntax.Limits{Octets: 1 << 20}, ""},
		{"nesting within", strings.Repeat("a{", 5) + strings.Repeat("}", 5), syntax.Limits{Nesting: 4}, ""},
		{"nesting", strings.Repeat("a{", 6) + strings.Repeat("}", 6), syntax.Limits{Nesting: 4}, "deeper than 4"},
		{"nesting of tests", strings.Repeat("a(", 6) + "a" + strings.Repeat(")", 6) + ";", syntax.Limits{Nesting: 4}, "deeper than 4"},
		{"nodes", strings.Repeat("a;", 4), syntax.Limits{Nodes: 3}, "more than 3 commands"},
		{"not UTF-8", "keep;\n \xff", syntax.Limits{}, "line 2, column 2: octets that are not UTF-8"},
		{"NUL", "keep;\x00", syntax.Limits{}, "line 1, column 6: a NUL character"},
	} {
		_, err := syntax.Parse([]byte(c.script), c.limits)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// print writes a tree as a script.
func print(nodes []*syntax.Node) string {
	var b strings.Builder
	for i, n := range nodes {
		if i > 0 && !nodes[i-1].Brace {
			b.WriteString(";")
		}
		b.WriteString(printNode(n))
	}
	if len(nodes) > 0 && !nodes[len(nodes)-1].Brace {
		b.WriteString(";")
	}
	return b.String()
}

func printNode(n *syntax.Node) string {
	out := n.Name
	for _, a := range n.Args {
		switch a.Kind {
		case syntax.Tag:
			out += " " + a.Tag
		case syntax.Number:
			out += fmt.Sprint(" ", a.Number)
		default:
			var list []string
			for _, s := range a.Strings {
				list = append(list, quoteFor(s.Text))
			}
			text := strings.Join(list, ", ")
			if a.List {
				text = "[" + text + "]"
			}
			out += " " + text
		}
	}
	var tests []string
	for _, t := range n.Tests {
		tests = append(tests, printNode(t))
	}
	switch {
	case n.List:
		out += " (" + strings.Join(tests, ", ") + ")"
	case len(tests) > 0:
		out += " " + tests[0]
	}
	if n.Brace {
		out += " {" + print(n.Block) + "}"
	}
	return out
}

// quoteFor quotes a string; line ends are written as Go does for people.
func quoteFor(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", `\r`, "\n", `\n`).Replace(s) + `"`
}

// FuzzParse holds that what is parsed is parsed the same when it is written out, and that errors have their place in the script.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"keep;", "require [\"a\", \"b\"]; if not header :is \"x\" [\"y\"] { stop; } elsif size :over 1M {} else { keep }",
		"a text:\r\n..x\r\n.\r\n;", "/* c */ a # b\n;", `a "\"\\";`, "a 1K 2m 3G;", "a (b, c (d));", "\ufeffa;", "a text:#x\n.\n;",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		nodes, err := syntax.Parse(script, syntax.Limits{})
		if err != nil {
			lines := strings.Count(string(script), "\n") + 1
			if err.Line > lines || err.Line > 0 && err.Column < 1 || err.Line < 0 {
				t.Fatalf("%v in a script of %d lines", err, lines)
			}
			return
		}
		if strings.ContainsAny(string(script), "\r\n") {
			return // quoteFor writes line ends for people
		}
		again, err := syntax.Parse([]byte(print(nodes)), syntax.Limits{Octets: 1 << 24})
		if err != nil {
			t.Fatalf("%s: %v", print(nodes), err)
		}
		if !reflect.DeepEqual(strip(nodes), strip(again)) {
			t.Fatalf("%s became %s", print(nodes), print(again))
		}
	})
}

// strip takes the places out of a tree.
func strip(nodes []*syntax.Node) []*syntax.Node {
	for _, n := range nodes {
		n.Pos = syntax.Pos{}
		for i := range n.Args {
			n.Args[i].Pos = syntax.Pos{}
			for j := range n.Args[i].Strings {
				n.Args[i].Strings[j].Pos = syntax.Pos{}
			}
		}
		strip(n.Tests)
		strip(n.Block)
	}
	return nodes
}
