package layers

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestImports(t *testing.T) {
	seen, said := 0, map[string]bool{}
	for _, line := range goList(t) {
		path, imports, _ := strings.Cut(line, ":")
		from := strings.TrimPrefix(path, Module)
		seen++
		for _, to := range strings.Fields(imports) {
			if complaint := Check(from, to); complaint != "" && !said[complaint] {
				said[complaint] = true
				t.Error(complaint)
			}
		}
	}
	if seen < 10 {
		t.Fatalf("go list named only %d packages", seen)
	}
}

// TestCheck shows that the rule can fail.
func TestCheck(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"cluster", Module + "index", "may not import"},
		{"index/mailbox", Module + "index/mailstore", "which is shell"},
		{"index/mailbox", "os", "may not import os"},
		{"mta/smtpd", Module + "imapd/wire", "knows nothing of"},
		{"imapd", Module + "cluster/group", "only the words and the directory"},
		{"nowhere", "fmt", "not in the table"},
		{"mta/smtpd", Module + "cluster/directory/login", ""},
		{"cluster/group", "os", ""},
	} {
		got := Check(c.from, c.to)
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("Check(%s, %s) = %q, want %q in it", c.from, c.to, got, c.want)
		}
	}
}

// TestPure holds words and core to having no clock and no goroutines.
func TestPure(t *testing.T) {
	root := moduleRoot(t)
	for path, kind := range Kinds() {
		if kind > Core {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, path, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") || strings.HasSuffix(f, ".pb.go") {
				continue
			}
			for _, complaint := range impurities(t, f) {
				t.Errorf("%s: %s", strings.TrimPrefix(f, root+"/"), complaint)
			}
		}
	}
}

// impurities lists the go statements and the readings of a clock in one file.
func impurities(t *testing.T, file string) (found []string) {
	t.Helper()
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "go statement at "+fset.Position(n.Pos()).String())
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && x.Name == "time" {
				switch n.Sel.Name {
				case "Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker", "AfterFunc":
					found = append(found, "time."+n.Sel.Name+" at "+fset.Position(n.Pos()).String())
				}
			}
		}
		return true
	})
	return found
}

func goList(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-f", `{{.ImportPath}}:{{join .Imports " "}}`, "./...")
	cmd.Dir = moduleRoot(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var lines []string
	for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}
