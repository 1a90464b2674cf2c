package e2etest

import (
	"context"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// TestOneNode tells the stories on a node by itself.
func TestOneNode(t *testing.T) {
	s, _ := start(t, 1)
	tell(t, s)
}

// TestThreeNodes tells them where mail comes in by one node and is read at another.
func TestThreeNodes(t *testing.T) {
	s, _ := start(t, 3)
	tell(t, s)
}

// start starts a cluster of real processes, or skips.
func start(t *testing.T, nodes int) (*site, *harness.Cluster) { return startWith(t, nodes, "") }

// startWith is start with lines for each node's configuration.
func startWith(t *testing.T, nodes int, extra string) (*site, *harness.Cluster) {
	t.Helper()
	if os.Getenv("ROOKERY_E2E") != "1" {
		t.Skip("needs real clients and a real binary: run `make e2e`")
	}
	binary := os.Getenv("ROOKERY_BINARY")
	if binary == "" {
		binary = filepath.Join("..", "..", "bin", "rookery")
	}
	c, err := harness.New(harness.Config{Binary: binary, Nodes: nodes, Domain: domain, Dir: t.TempDir(), ExtraTOML: extra, Progress: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	first := c.Nodes()[0]
	if _, err := first.Run(ctx, "", "domain", "add", domain); err != nil {
		t.Fatal(err)
	}
	s := &site{authority: filepath.Join(t.TempDir(), "authority.pem")}
	writeAuthority(t, first, s.authority)
	for _, n := range c.Nodes() {
		s.doors = append(s.doors, door{host: n.Hostname, ip: n.IP(), mx: n.MX(), submission: n.Submission(),
			submissions: n.Submissions(), imap: n.IMAP(), imaps: n.IMAPS(), direct: n.IMAPS()})
	}
	s.writeDown(t)
	s.addAccount = func(t *testing.T, address, password string) {
		t.Helper()
		if err := first.AddAccount(within(t), address, password); err != nil {
			t.Fatal(err)
		}
	}
	s.addAlias = func(t *testing.T, address, target string) {
		t.Helper()
		if _, err := first.Run(within(t), "", "alias", "add", address, target); err != nil {
			t.Fatal(err)
		}
	}
	s.set = func(t *testing.T, setting, value string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience) // it may be when the story is over
		defer cancel()
		if _, err := first.Run(ctx, "", "setting", "set", setting, value); err != nil {
			t.Error(err)
		}
	}
	return s, c
}

// writeAuthority writes the certificates that clients are to trust, and no key, to a file.
func writeAuthority(t *testing.T, n *harness.Node, file string) {
	t.Helper()
	data, err := os.ReadFile(n.CAPath())
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			out = append(out, pem.EncodeToMemory(block)...)
		}
	}
	write(t, file, string(out))
}

// tell tells all stories on a site, each with accounts of its own.
func tell(t *testing.T, s *site) {
	for _, story := range []struct {
		name string
		tell func(*testing.T, *site)
	}{
		{"curl sends", curlSends},
		{"curl reads", curlReads},
		{"curl logs in", curlLogsIn},
		{"curl logs in by token", curlByToken},
		{"swaks sends from outside", swaksFromOutside},
		{"swaks submits", swaksSubmits},
		{"mbsync syncs two ways", mbsyncTwoWays},
		{"mutt sends and reads", muttRound},
		{"go-imap and mailboxes", goimapMailboxes},
		{"go-imap and messages", goimapMessages},
		{"go-imap idles", goimapIdle},
		{"smuggling", smuggling},
		{"injection before TLS", injection},
		{"nonsense in IMAP", nonsense},
		{"broken mail", brokenMail},
	} {
		t.Run(story.name, func(t *testing.T) {
			s.story.Store(story.name)
			story.tell(t, s)
		})
	}
}
