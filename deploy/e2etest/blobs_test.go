package e2etest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
	"github.com/rookery-mail/rookery/deploy/stores"
)

// TestObjectStore gives a cluster of real processes a real object store: wrong credentials are refused with their
// reason, bodies move and are read on every node, the leader is killed while it packs, the store is frozen and
// comes back, keys are exported and rotated, the bucket is sound, and all comes home.
func TestObjectStore(t *testing.T) {
	s, c := start(t, 3)
	store := startStore(t)
	a := s.newAccount(t, "anna")
	letters := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			a.put(t, "INBOX", message("x@example.net", a.address, fmt.Sprint("letter ", i), strings.Repeat(fmt.Sprint("line ", i, "\n"), 200)))
		}
	}
	all := func(d door, to int) {
		t.Helper()
		a.out = d
		eventually(t, func() error {
			list, err := a.look(t, "INBOX")
			if err == nil && len(list) != to {
				err = fmt.Errorf("%s has %d letters of %d", d.host, len(list), to)
			}
			for _, m := range list {
				if !strings.Contains(m.text, strings.Replace(m.subject, "letter", "line", 1)+"\r\n") {
					err = errors.Join(err, fmt.Errorf("%s is not what was put", m.subject))
				}
			}
			return err
		})
	}
	letters(0, 20)
	first := c.Nodes()[0]
	use := []string{"blob", "use", "s3://" + store.Bucket() + "/mail", "--endpoint", store.Endpoint(), "--region", store.Region(),
		"--style", "path", "--encrypt", "--pack-size", "64KiB", "--pack-age", "2s", "--grace", "1s", "--credentials-file"}
	wrong := filepath.Join(t.TempDir(), "wrong")
	write(t, wrong, "nobody\nnothing\n")
	if out, err := first.Run(within(t), "", append(slices.Clone(use), wrong)...); err == nil || !strings.Contains(err.Error()+string(out), "s3:PutObject") {
		t.Errorf("credentials of nobody: %s %v", out, err)
	}
	blob(t, first, append(slices.Clone(use), store.CredentialsFile())[1:]...)
	blob(t, c.Nodes()[1], "flush")
	for _, d := range s.doors {
		all(d, 20)
	}

	leader := leaderOf(t, c, a)
	a.out = s.doors[slices.Index(c.Nodes(), leader)]
	letters(20, 40)
	leader.Kill()
	other := c.Nodes()[(slices.Index(c.Nodes(), leader)+1)%3]
	a.out = s.doors[slices.Index(c.Nodes(), other)]
	eventually(t, func() error { return writable(t, a) })
	letters(40, 50)
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitWhole(within(t)); err != nil {
		t.Fatal(err)
	}
	blob(t, other, "flush")

	if err := store.Pause(); err != nil {
		t.Fatal(err)
	}
	letters(50, 60)
	if err := store.Resume(); err != nil {
		t.Fatal(err)
	}
	blob(t, leader, "flush")
	for _, d := range s.doors {
		all(d, 60)
	}
	blob(t, first, "verify")

	keys := filepath.Join(t.TempDir(), "keys")
	blob(t, first, "key", "export", "--out", keys)
	blob(t, first, "key", "rotate")
	blob(t, other, "key", "import", keys)

	blob(t, other, "use", "embedded")
	eventually(t, func() error {
		var stats struct {
			Packs, Open, Doomed int
		}
		if _, err := first.Run(t.Context(), "", "blob", "collect", "--grace", "0s", "--yes", "--wait", "1s"); err != nil {
			return err
		}
		out, err := first.Run(t.Context(), "", "blob", "stats", "--format", "json")
		if err == nil {
			err = json.Unmarshal(out, &stats)
		}
		if err == nil && stats.Packs+stats.Open+stats.Doomed > 0 {
			err = fmt.Errorf("packs are left: %s", out)
		}
		return err
	})
	objects, err := store.Objects(t.Context(), "mail/packs/")
	if err != nil || len(objects) > 0 {
		t.Errorf("objects are left: %v, %v", objects, err)
	}
	store.Kill()
	for _, d := range s.doors {
		all(d, 60)
	}
}

// startStore runs an object store until the test ends.
func startStore(t *testing.T) *stores.Store {
	t.Helper()
	store, err := stores.Start(within(t), stores.Config{Kind: stores.Versitygw, Dir: t.TempDir()})
	if errors.Is(err, stores.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// blob runs a `rookery blob` that has to go well.
func blob(t *testing.T, n *harness.Node, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	began := time.Now()
	out, err := n.Run(ctx, "", append([]string{"blob"}, args...)...)
	if err != nil {
		t.Fatalf("blob %s: %s %v", args[0], out, err)
	}
	t.Logf("blob %s took %v: %.100s", args[0], time.Since(began).Round(time.Millisecond), out)
}

// writable says whether the account's partition takes writes.
func writable(t *testing.T, a *account) error {
	c := a.dial(t)
	defer c.Close()
	return c.Subscribe("INBOX").Wait()
}
