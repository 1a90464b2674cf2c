package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/bench/scenario"
)

// execute runs a command line and gives its error.
func execute(ctx context.Context, args ...string) error {
	cmd := root()
	cmd.SetArgs(args)
	return cmd.ExecuteContext(ctx)
}

// TestBadInput holds every refusal to a message that names what is wrong.
func TestBadInput(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unreachable := "smtp://" + l.Addr().String()
	_ = l.Close()
	dies := write("dies", "#!/bin/sh\necho no such luck >&2\nexit 3\n", 0o755)
	text := write("plain.txt", "just text\n", 0o600)
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"unknown scenario", "there is no scenario", []string{"run", "nonsense"}},
		{"no binary", "is not a program", []string{"run", "deliver-4k", "--binary", filepath.Join(dir, "none")}},
		{"binary that dies", "no such luck", []string{"run", "deliver-4k", "--binary", dies}},
		{"unreachable target", "reach the target", []string{"run", "deliver-4k", "--target", unreachable, "--account", "a@b:c"}},
		{"target without accounts", "needs accounts", []string{"run", "deliver-4k", "--target", unreachable}},
		{"bad target", "use smtp://", []string{"run", "deliver-4k", "--target", "gopher://x", "--account", "a@b:c"}},
		{"bad account", "ADDRESS:PASSWORD", []string{"run", "deliver-4k", "--target", unreachable, "--account", "ab"}},
		{"corpus that is not mail", "not an mbox", []string{"run", "deliver-mix", "--corpus", text}},
		{"empty Maildir", "no message", []string{"run", "deliver-mix", "--corpus", dir}},
		{"too many connections", "open files", []string{"run", "idle", "--connections", "50000000"}},
		{"too few nodes", "needs 3 nodes", []string{"run", "failover"}},
		{"two nodes", "1, 3 and 5", []string{"run", "deliver-4k", "--nodes", "2"}},
		{"format", "use table", []string{"run", "deliver-4k", "--format", "xml"}},
		{"not a revision", "neither a program nor a revision", []string{"compare", dies, "no-such-revision", "deliver-4k"}},
		{"scenario that kills a target", "cannot be run against --target", []string{"run", "failover", "--target", unreachable}},
		{"peers of nothing", "cannot be run against Postfix", []string{"peers", "failover"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := execute(t.Context(), append(c.args, "--quiet")...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestReadCorpus(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"cur/1", "new/2", ".Sent/cur/3", "tmp/4"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("Subject: "+name+"\n\ntext\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readCorpus(dir)
	if err != nil || len(got) != 3 {
		t.Errorf("%d messages, %v", len(got), err)
	}
}

// TestScenariosHaveNames guards the list that docs/bench.md describes.
func TestScenariosHaveNames(t *testing.T) {
	docs, err := os.ReadFile("../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range scenario.All() {
		if s.Name == "" || s.Brief == "" || s.Run == nil || seen[s.Name] {
			t.Errorf("scenario %q is incomplete or there twice", s.Name)
		}
		seen[s.Name] = true
		if !strings.Contains(string(docs), "`"+s.Name+"`") {
			t.Errorf("docs/bench.md does not tell of %s", s.Name)
		}
	}
}
