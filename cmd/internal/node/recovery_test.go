package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/index/frame"
)

// lostPacks puts packs of a lost cluster into a directory: messages of ada, encrypted, and one of bob.
func lostPacks(t *testing.T, dir string, key pack.ClusterKey, messages int) (names []string) {
	t.Helper()
	bucket, err := object.OpenFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, address := range []string{"ada@example.org", "bob@example.net"} {
		p := blobstore.Pack{Group: 7, ID: blobstore.PackID{byte(i + 1)}}
		var own *pack.Key
		if i == 0 {
			own = &pack.Key{9}
			p.Key, p.SealedKey = key.ID, pack.Seal(key, p.ID, *own)
		}
		var b bytes.Buffer
		w, err := pack.NewWriter(&b, p, own)
		if err != nil {
			t.Fatal(err)
		}
		m := &blobstore.Manifest{Cluster: "lost", Created: time.UnixMilli(1.77e12), Accounts: []blobstore.Account{{ID: uint64(i + 1), Address: address}},
			Mailboxes: []blobstore.Mailbox{{ID: 1, Name: "INBOX", UIDValidity: 1, Subscribed: true}, {ID: 2, Name: "Ablage", UIDValidity: 1, Subscribed: true}}}
		for n := range messages {
			text := fmt.Appendf(nil, "From: <x@example.net>\r\nSubject: %d\r\n\r\nFor %s.\r\n", n, address)
			id := uint64(100*i + n)
			m.Bodies = append(m.Bodies, blobstore.Body{Entry: blobstore.Entry{Body: id}, Size: uint64(len(text)), ChunkSize: 131072,
				Users: []blobstore.User{{Mailbox: n % 2, UID: uint32(n + 1), Flags: 1, InternalDate: time.UnixMilli(1.76e12 + int64(n)*1000)}}})
			w.Begin(id)
			if err := w.Chunk(frame.New().Compress(text)); err != nil {
				t.Fatal(err)
			}
			w.End()
		}
		if _, err := w.Finish(m); err != nil {
			t.Fatal(err)
		}
		if err := bucket.Put(t.Context(), p.Object(), bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil {
			t.Fatal(err)
		}
		names = append(names, p.Object())
	}
	return names
}

// recover asks node 1 to recover.
func (s *site) recover(in adminapi.Recovery) (adminapi.RecoveryReport, error) {
	s.t.Helper()
	return adminapi.Dial(s.config(1).Admin.Socket).Recover(s.t.Context(), in, func(adminapi.RecoveryReport) {})
}

// TestRecover fills a new cluster from packs: what is said of each thing that is wrong, and what users find.
func TestRecover(t *testing.T) {
	t.Parallel()
	s := newSite(t, 43)
	dir := t.TempDir()
	key := pack.ClusterKey{ID: blobstore.KeyID{1}, Secret: [32]byte{2}}
	names := lostPacks(t, dir, key, 10)
	if _, err := Init(t.Context(), s.config(1), InitOptions{Partitions: 2, ReplicationFactor: 3, Version: "test"}); err != nil {
		t.Fatal(err)
	}
	s.serve(1)

	in := adminapi.Recovery{Setting: setting.Default()}
	in.Setting.URL = "file://" + t.TempDir()
	if _, err := s.recover(in); err == nil || !strings.Contains(err.Error(), "no packs there") {
		t.Errorf("an empty bucket: %v", err)
	}
	in.Setting.URL = "file://" + dir
	if r, err := s.recover(in); err != nil || r.Added != 10 || len(r.Faults) != 1 || !strings.Contains(r.Faults[0], names[0]) ||
		!slices.Equal(r.Locked, []string{"bob@example.net"}) {
		t.Errorf("without the key: %+v, %v", r, err)
	}
	in.Keys = "rookery-blob-key-1 00 00 00"
	if _, err := s.recover(in); err == nil || !strings.Contains(err.Error(), "line 1 of the keys") {
		t.Errorf("a damaged key file: %v", err)
	}
	in.Keys = string(pack.FormatKeys([]pack.ClusterKey{key}))
	if r, err := s.recover(in); err != nil || !r.Done || r.Added != 10 || r.Present != 10 || len(r.Faults) != 0 ||
		!slices.Equal(r.Locked, []string{"ada@example.org"}) {
		t.Errorf("with the key: %+v, %v", r, err)
	}
	s.afterRecovery(in)
}

// afterRecovery is what users find, and what another recovery does.
func (s *site) afterRecovery(in adminapi.Recovery) {
	s.t.Helper()
	secret := "secret"
	if err := s.ask(1, "PATCH", "/v1/accounts/ada@example.org", adminapi.AccountChange{Password: &secret}, nil); err != nil {
		s.t.Fatal(err)
	}
	k := s.talk(1)
	s.gets(k, "OK", "* 5 EXISTS", "SELECT Ablage")
	s.gets(k, "OK", "For ada@example.org.", "FETCH 5 BODY[TEXT]")
	s.gets(k, "OK", `FLAGS (\Seen)`, "FETCH 1:5 FLAGS")
	k.ok("LOGOUT")
	s.halt(1)
	s.serve(1)
	if r, err := s.recover(in); err != nil || r.Added != 0 || r.Present != 20 || len(r.Locked) != 0 {
		s.t.Errorf("again, after a restart: %+v, %v", r, err)
	}
	in.Setting.URL = "file://" + filepath.Join(s.dir, "nowhere")
	if _, err := s.recover(in); err == nil || errors.Is(err, os.ErrNotExist) {
		s.t.Errorf("a directory that is not there: %v", err)
	}
}
