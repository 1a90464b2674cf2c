package e2etest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/rookery-mail/rookery/deploy/harness"
	"github.com/rookery-mail/rookery/deploy/stores"
)

// stored is a cluster whose bodies are in an object store.
type stored struct {
	t       *testing.T
	cluster *harness.Cluster
	store   *stores.Store
	account *account
	corpus  harness.Corpus
	sent    map[string]harness.Digest // by Message-ID
	sender  *harness.Sender
}

// TestBodiesMove moves the bodies of a cluster of three into versitygw and home again: with mail before and after,
// the store away, a node killed, and nothing left behind.
func TestBodiesMove(t *testing.T) {
	site, c := start(t, 3)
	store, err := stores.Start(t.Context(), stores.Config{Kind: stores.Versitygw, Dir: t.TempDir()})
	if errors.Is(err, stores.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	s := &stored{t: t, cluster: c, store: store, account: site.newAccount(t, "ada"), sent: map[string]harness.Digest{},
		corpus: harness.Corpus{Seed: 11, Domain: domain}, sender: harness.NewSender(c.Nodes(), 0)}
	t.Cleanup(s.sender.Close)

	s.deliver(30)
	s.refusesWrongKeys()
	s.use(store.CredentialsFile())
	s.run("blob", "flush")
	s.readable()
	s.bucketIsExact()

	s.deliver(10) // bodies that nobody reads before the store is away
	s.run("blob", "flush")
	store.Kill()
	s.deliver(5)
	s.refusesOldBodies()
	if err := store.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.readable()
	s.run("blob", "flush")

	last := c.Nodes()[2]
	last.Kill()
	s.deliver(5)
	if err := last.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitWhole(within(t)); err != nil {
		t.Fatal(err)
	}
	s.run("blob", "flush")
	s.bucketIsExact()
	if out := s.run("blob", "verify"); !strings.Contains(out, "All is as it should be") {
		t.Errorf("blob verify: %s", out)
	}

	s.run("blob", "use", "embedded")
	s.atHome()
	s.run("blob", "collect", "--grace", "0s", "--yes")
	if left, err := store.Objects(t.Context(), "story/packs/"); err != nil || len(left) != 0 {
		t.Errorf("the bucket still has %d packs, error %v", len(left), err)
	}
	store.Kill()
	s.readable()
}

// run runs a command on the first node.
func (s *stored) run(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

func (s *stored) try(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	return s.cluster.Nodes()[0].Run(ctx, "", args...)
}

// use has the cluster use the store with the keys of a file.
func (s *stored) use(keys string) { s.run(s.useCommand(keys)...) }

func (s *stored) useCommand(keys string) []string {
	return []string{"blob", "use", "s3://" + s.store.Bucket() + "/story", "--endpoint", s.store.Endpoint(), "--region", s.store.Region(),
		"--style", "path", "--credentials-file", keys, "--encrypt"}
}

// deliver sends messages to the account through all doors in turn.
func (s *stored) deliver(n int) {
	s.t.Helper()
	for range n {
		m := s.corpus.Message(len(s.sent), s.account.address)
		if _, err := s.sender.Send(within(s.t), m, s.account.address); err != nil {
			s.t.Fatal(err)
		}
		s.sent[m.ID] = m.Digest
	}
}

// refusesWrongKeys tries credentials that the store does not know: the node and the permission are named, and nothing
// takes effect.
func (s *stored) refusesWrongKeys() {
	s.t.Helper()
	keys := filepath.Join(s.t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("nobody\nnothing\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	_, err := s.try(s.useCommand(keys)...)
	if err == nil || !strings.Contains(err.Error(), "s3:PutObject") || !strings.Contains(err.Error(), "n1") {
		s.t.Errorf("credentials that the store does not know: %v", err)
	}
	if out := s.run("blob", "status"); !strings.Contains(out, "embedded") {
		s.t.Errorf("after credentials that were refused: %s", out)
	}
}

// readable reads everything through every node, as soon as each has all of it and asks the store again.
func (s *stored) readable() {
	s.t.Helper()
	for _, n := range s.cluster.Nodes() {
		eventually(s.t, func() error {
			found, err := n.ReadAll(s.t.Context(), s.account.address, s.account.password)
			if err != nil {
				return err
			}
			return s.compare(found)
		})
	}
}

func (s *stored) compare(found []harness.Found) error {
	if len(found) != len(s.sent) {
		return fmt.Errorf("%d messages of %d", len(found), len(s.sent))
	}
	for _, f := range found {
		if s.sent[f.ID] != f.Digest {
			return fmt.Errorf("%s has other content", f.ID)
		}
	}
	return nil
}

// refusesOldBodies reads while the store is away: what is in no cache is refused for now, and the mailbox is there
// all the same.
func (s *stored) refusesOldBodies() {
	s.t.Helper()
	n := s.cluster.Nodes()[1]
	if _, err := n.ReadAll(within(s.t), s.account.address, s.account.password); err == nil || !strings.Contains(err.Error(), "UNAVAILABLE") {
		s.t.Errorf("bodies in a store that is away: %v", err)
	}
	c, err := n.DialIMAP(within(s.t), s.account.address, s.account.password)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.End()
	defer c.Within(within(s.t), patience)()
	box, err := c.Select("INBOX", nil).Wait()
	if err != nil || int(box.NumMessages) != len(s.sent) {
		s.t.Fatalf("%+v, error %v; want %d messages", box, err, len(s.sent))
	}
	var all imap.SeqSet
	all.AddRange(1, 0)
	list, err := c.Fetch(all, &imap.FetchOptions{Envelope: true, RFC822Size: true}).Collect()
	if err != nil || len(list) != len(s.sent) {
		s.t.Errorf("%d envelopes of %d, error %v", len(list), len(s.sent), err)
	}
}

// bucketIsExact holds the bucket against what the cluster says of it.
func (s *stored) bucketIsExact() {
	s.t.Helper()
	var stats struct {
		Packs       int   `json:"packs"`
		ObjectBytes int64 `json:"object_bytes"`
		LiveBodies  int   `json:"live_bodies"`
		Staged      int   `json:"staged_bodies"`
	}
	if err := json.Unmarshal([]byte(s.run("blob", "stats", "--format", "json")), &stats); err != nil {
		s.t.Fatal(err)
	}
	objects, err := s.store.Objects(s.t.Context(), "story/packs/")
	if err != nil {
		s.t.Fatal(err)
	}
	var octets int64
	for _, o := range objects {
		octets += o.Size
	}
	if len(objects) != stats.Packs || octets != stats.ObjectBytes || stats.LiveBodies != len(s.sent) || stats.Staged != 0 {
		s.t.Errorf("the bucket has %d objects of %d octets, and the cluster says %+v of %d messages", len(objects), octets, stats, len(s.sent))
	}
}

// atHome waits until no body is in the store.
func (s *stored) atHome() {
	s.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		var status struct {
			Partitions []struct {
				Mode       string `json:"mode"`
				LiveBodies int    `json:"live_bodies"`
			} `json:"partitions"`
		}
		if err := json.Unmarshal([]byte(s.run("blob", "status", "--format", "json")), &status); err != nil {
			s.t.Fatal(err)
		}
		left := 0
		for _, p := range status.Partitions {
			left += p.LiveBodies
		}
		if left == 0 && len(status.Partitions) > 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d bodies did not come home: %+v", left, status)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
