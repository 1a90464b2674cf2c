package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// TestRecoverCommand: what is asked of the node, what is said of the outcome, and the exit code of a loss.
func TestRecoverCommand(t *testing.T) {
	o := newOffice(t)
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("a key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(args ...string) (string, error) {
		return run(t, append([]string{"--config", o.config, "recover"}, args...)...)
	}
	const path = "POST /v1/recovery"
	o.answers[path] = adminapi.RecoveryReport{Packs: 3, PacksRead: 3, Accounts: 2, AccountsDone: 2, Messages: 10, Added: 7, Present: 3, Done: true,
		Locked: []string{"ada@example.org"}}
	out, err := ask("--from-bucket", "s3://mail/x", "--endpoint", "https://s3.example.org", "--credentials-file", "/etc/s3", "--key-file", keys, "--cluster", "c1", "--with-expunged")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"7 messages of 10 were recovered, 3 had been before, 0 are lost", "rookery account password ada@example.org", "Aliases"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
	var sent adminapi.Recovery
	if err := json.Unmarshal(o.sent[path], &sent); err != nil || sent.Setting.URL != "s3://mail/x" || sent.Setting.Endpoint != "https://s3.example.org" ||
		sent.Setting.CredentialsFile != "/etc/s3" || sent.Keys != "a key\n" || sent.Cluster != "c1" || !sent.Kept || sent.DryRun {
		t.Errorf("sent %s, %v", o.sent[path], err)
	}

	o.answers[path] = adminapi.RecoveryReport{Packs: 3, PacksRead: 2, PacksDamaged: 1, Messages: 10, Bytes: 99, Faults: []string{"pack x: damaged"}, MoreFaults: 4, Done: true}
	out, err = ask("--from-bucket", "file:///srv/x", "--dry-run")
	if exit := (exitError{}); !errors.As(err, &exit) || exit.code != 2 {
		t.Errorf("a loss: %v", err)
	}
	if !strings.Contains(out, "pack x: damaged") || !strings.Contains(out, "There are 10 messages, 99 octets") {
		t.Errorf("a dry run says %s", out)
	}

	o.answers[path] = adminapi.RecoveryReport{Packs: 3, Error: "the object store does not answer"}
	if _, err := ask("--from-bucket", "file:///srv/x"); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("an end before it is done: %v", err)
	}
	o.answers[path] = adminapi.RecoveryReport{Packs: 3}
	if _, err := ask("--from-bucket", "file:///srv/x"); err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Errorf("a node that goes away: %v", err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"from-bucket", nil},
		{"s3://bucket/prefix", []string{"--from-bucket", "/srv/x"}},
		{"--key-file", []string{"--from-bucket", "file:///srv/x", "--key-file", keys + "2"}},
	} {
		if _, err := ask(c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}
