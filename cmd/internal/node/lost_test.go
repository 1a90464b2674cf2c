package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// TestLoseEverything: a node packs mail into an encrypted store and is no more; a new cluster made of the
// store and the exported keys has the mail, with flags, keywords, dates and mailboxes.
func TestLoseEverything(t *testing.T) {
	t.Parallel()
	old := newSite(t, 44)
	old.start(1)
	old.deliver(1, 0, 12)
	k := old.talk(1)
	k.ok("CREATE Ablage/2026")
	k.ok("SUBSCRIBE Ablage/2026")
	k.ok("SELECT INBOX")
	k.ok(`STORE 3:5 +FLAGS.SILENT (\Seen $Forwarded)`)
	k.ok("COPY 2:4 Ablage/2026") // these have a body in common with others
	k.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	k.ok("EXPUNGE")
	large := "Subject: large\r\n\r\n" + strings.Repeat("0123456789abcdef line of a large message\r\n", 20000)
	k.ok("APPEND Drafts (\\Draft) \"02-Jan-2026 10:00:00 +0000\" {%d+}\r\n%s", len(large), large)
	before := old.mail(k)
	k.ok("LOGOUT")

	store := t.TempDir()
	keys := old.pack(store)
	old.halt(1)

	s := newSite(t, 45)
	if _, err := Init(t.Context(), s.config(1), InitOptions{Partitions: 3, ReplicationFactor: 3, Version: "test"}); err != nil {
		t.Fatal(err)
	}
	s.serve(1)
	in := adminapi.Recovery{Setting: setting.Default(), Keys: keys}
	in.Setting.URL = "file://" + store
	r, err := s.recover(in)
	if err != nil || !r.Done || r.Added != 15 || r.Lost != 0 || len(r.Faults) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	secret := "secret"
	if err := s.ask(1, "PATCH", "/v1/accounts/ada@example.org", adminapi.AccountChange{Password: &secret}, nil); err != nil {
		t.Fatal(err)
	}
	k = s.talk(1)
	after := s.mail(k)
	for name, was := range before {
		if after[name] != was {
			t.Errorf("%s has\n%.2000s\nand had\n%.2000s", name, after[name], was)
		}
	}
	s.gets(k, "OK", "Ablage/2026", `LSUB "" "*"`)
	k.ok("LOGOUT")
}

// mail is all that is in some mailboxes, by name, without UIDs.
func (s *site) mail(k *talk) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, name := range []string{"INBOX", "Ablage/2026", "Drafts"} {
		k.ok("EXAMINE %s", name)
		lines := k.ok("FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
		all[name] = strings.Join(lines, "\n")
	}
	return all
}

// pack has node 1 put all bodies into an encrypted store in a directory, and gives the keys.
func (s *site) pack(dir string) (keys string) {
	s.t.Helper()
	use := adminapi.BlobUse{Setting: setting.Default(), Check: true}
	use.Setting.URL, use.Setting.Encrypt = "file://"+dir, true
	s.eventually("object storage is used", func() error { return s.ask(1, "PUT", "/v1/blobs/setting", use, nil) })
	s.eventually("all is packed", func() error {
		var left adminapi.BlobWork
		if err := s.ask(1, "POST", "/v1/blobs/flush", nil, &left); err != nil {
			return err
		}
		var now adminapi.Blobs
		if err := s.ask(1, "GET", "/v1/blobs", nil, &now); err != nil {
			return err
		}
		live := uint64(0)
		for _, p := range now.Partitions {
			live += p.LiveBodies
		}
		if left.Left > 0 || live != 13 {
			return fmt.Errorf("%d bodies are left, %d packed: %v", left.Left, live, left.Problems)
		}
		return nil
	})
	var secrets adminapi.BlobSecrets
	if err := s.ask(1, "GET", "/v1/blobs/secrets", nil, &secrets); err != nil {
		s.t.Fatal(err)
	}
	return secrets.Text
}
