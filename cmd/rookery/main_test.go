package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryCommandExplainsItself: a sentence and an example each.
func TestEveryCommandExplainsItself(t *testing.T) {
	seen := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		seen++
		if c.Short == "" || !strings.Contains(c.Example, "rookery") {
			t.Errorf("%s: short %q, example %q", c.CommandPath(), c.Short, c.Example)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root())
	if seen < 30 {
		t.Errorf("only %d commands", seen)
	}
}

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := root()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestMistakesSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "rookery.toml")
	text := "node = \"n1\"\ndata_dir = \"" + filepath.Join(dir, "data") + "\"\n[smtp]\nhostname = \"n1.example.org\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"status", "--config", filepath.Join(dir, "none.toml")}, "deploy/rookery.toml"},
		{[]string{"status", "--config", config}, "rookery serve"},
		{[]string{"serve", "--config", config}, "rookery init"},
		{[]string{"join", "--config", config, "--token", "x", "127.0.0.1:1"}, "rookery token create"},
		{[]string{"init", "--config", config, "--partitions", "0"}, "1 to 256"},
		{[]string{"account", "delete", "--config", config, "a@example.org"}, "--yes"},
		{[]string{"node", "rebuild", "--config", config, "--group", "p1"}, "--yes"},
		{[]string{"account", "set", "--config", config, "a@example.org"}, "at least one"},
		{[]string{"mailbox", "grant", "--config", config, "a@example.org", "INBOX", "b@example.org", ""}, "rookery mailbox revoke"},
	} {
		if _, err := run(t, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q in it", c.args, err, c.want)
		}
	}
}

func TestVersion(t *testing.T) {
	if out, err := run(t, "version", "--json"); err != nil || !strings.Contains(out, `"version"`) {
		t.Errorf("%s %v", out, err)
	}
}
