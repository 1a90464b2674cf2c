package node

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// useBlobs has bodies go to the directory store, by node i.
func (s *site) useBlobs(i int, change func(*setting.Setting)) error {
	s.t.Helper()
	var now setting.Setting
	if err := s.ask(i, "GET", "/v1/blobs/setting", nil, &now); err != nil {
		s.t.Fatal(err)
	}
	now.URL, now.Embedded = "file://"+s.store(), false
	if change != nil {
		change(&now)
	}
	return s.ask(i, "PUT", "/v1/blobs/setting", adminapi.BlobUse{Setting: now, Check: true}, nil)
}

// store is the directory of the site's object store.
func (s *site) store() string { return filepath.Join(s.dir, "store") }

// packs lists the objects of packs.
func (s *site) packs() (names []string) {
	s.t.Helper()
	err := filepath.WalkDir(filepath.Join(s.store(), "packs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return names
}

// blobs waits until what node i sees of object storage is as it should be.
func (s *site) blobs(i int, what string, good func(adminapi.Blobs) bool) {
	s.t.Helper()
	s.eventually(what, func() error {
		var b adminapi.Blobs
		if err := s.ask(i, "GET", "/v1/blobs", nil, &b); err != nil {
			return err
		}
		if !good(b) {
			return fmt.Errorf("it is %+v", b)
		}
		return nil
	})
}

// flush waits until all that is staged is packed.
func (s *site) flush(i int) {
	s.t.Helper()
	s.eventually("all is packed", func() error {
		return s.work(i, "/v1/blobs/flush", nil)
	})
}

// work asks once for a piece of work; the error says what is left.
func (s *site) work(i int, path string, in any) error {
	var w adminapi.BlobWork
	if err := s.ask(i, "POST", path, in, &w); err != nil {
		return err
	}
	if w.Left > 0 || len(w.Problems) > 0 {
		return fmt.Errorf("left: %+v", w)
	}
	return nil
}

// verify reads all packs and gives what is wrong.
func (s *site) verify(i int) (problems []string) {
	s.t.Helper()
	for p := uint16(1); p <= 2; p++ {
		for v := (adminapi.BlobVerify{Partition: p}); ; {
			var out adminapi.BlobVerified
			if err := s.ask(i, "POST", "/v1/blobs/verify", v, &out); err != nil {
				s.t.Fatal(err)
			}
			problems = append(problems, out.Problems...)
			if !out.More {
				break
			}
			v.After = out.After
		}
	}
	return problems
}

// noise is a message of so many octets that does not become smaller.
func noise(subject string, octets int) string {
	letters := make([]byte, octets)
	for i := range letters {
		letters[i] = byte('!' + rand.IntN(90))
		if i%70 == 69 {
			letters[i] = '\n'
		}
	}
	return "Subject: " + subject + "\r\n\r\n" + strings.ReplaceAll(strings.ReplaceAll(string(letters), "\n", "\r\n"), "\n.", "\nx")
}

// sees waits until node i gives all texts of INBOX, by number.
func (s *site) sees(i int, texts []string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("n%d gives all mail", i), func() error {
		k := s.talk(i)
		defer k.conn.Close()
		k.ok("SELECT INBOX")
		answer, untagged := k.say("FETCH 1:* BODY.PEEK[TEXT]")
		if !strings.HasPrefix(answer, "OK") {
			return fmt.Errorf("FETCH: %s", answer)
		}
		all := strings.Join(untagged, "\n")
		for n, text := range texts {
			if !strings.Contains(all, strings.ReplaceAll(text, "\r\n", "\n")) {
				return fmt.Errorf("message %d is not there", n+1)
			}
		}
		return nil
	})
}

// TestBlobs: a cluster is given an object store while it serves; mail goes there, is read on every node, survives
// restarts and an outage of the store; damage is found; and all comes home again.
func TestBlobs(t *testing.T) {
	t.Parallel()
	s := newSite(t, 52)
	s.more = "[blobs]\ncache_bytes = 16777216\n"
	s.start(3)
	s.healthy(1, 3)
	s.deliver(1, 0, 10)
	var texts []string
	for m := range 10 {
		texts = append(texts, fmt.Sprintf("Hello %d.", m))
	}
	large := noise("large", 700<<10)
	if err := send(s.config(2).SMTP.MX[0], "ada@example.org", large); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(large, "\r\n\r\n")
	texts = append(texts, text)

	if err := s.useBlobs(1, nil); err == nil || !strings.Contains(err.Error(), "node n1") || !strings.Contains(err.Error(), "node n3") {
		t.Errorf("a store that is not there: %v", err)
	}
	if err := os.Mkdir(s.store(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.useBlobs(1, func(c *setting.Setting) { c.StagingBytes = setting.MinStaging; c.GraceSeconds = 3600 }); err != nil {
		t.Fatal(err)
	}
	s.flush(2)
	s.blobs(3, "all bodies are packed", func(b adminapi.Blobs) bool {
		bodies, staged := uint64(0), uint64(0)
		for _, p := range b.Partitions {
			if p.Mode != "packed" {
				return false
			}
			bodies, staged = bodies+p.LiveBodies, staged+p.StagedBodies
		}
		return bodies == 11 && staged == 0
	})
	for i := 1; i <= 3; i++ {
		s.sees(i, texts)
	}
	s.equal(1, 2, 3)

	s.outage(texts)
	if problems := s.verify(2); len(problems) > 0 {
		t.Errorf("found %q", problems)
	}
	s.damage()

	leader := s.leaderOf(1)
	other := leader%3 + 1
	s.deliver(other, 50, 55)
	s.halt(leader)
	s.flushBesides(other)
	s.serve(leader)
	for m := 50; m < 55; m++ {
		texts = append(texts, fmt.Sprintf("Hello %d.", m))
	}
	s.sees(leader, texts)

	if err := s.useBlobs(2, func(c *setting.Setting) { c.Embedded = true }); err != nil {
		t.Fatal(err)
	}
	s.blobs(1, "all bodies are home", func(b adminapi.Blobs) bool {
		away := func(p adminapi.BlobPartition) bool { return p.Mode != "embedded" || p.LiveBodies > 0 }
		return !slices.ContainsFunc(b.Partitions, away)
	})
	none := int64(0)
	s.eventually("all objects are deleted", func() error {
		return s.work(3, "/v1/blobs/collect", adminapi.BlobCollect{GraceSeconds: &none})
	})
	if left := s.packs(); len(left) > 0 {
		t.Errorf("objects are left: %v", left)
	}
	for i := 1; i <= 3; i++ {
		s.sees(i, texts)
	}
	s.healthy(1, 3)
	s.equal(1, 2, 3)
}

// flushBesides is flush while a node is away: what it is about is that all partitions are led again.
func (s *site) flushBesides(i int) {
	s.t.Helper()
	s.eventually("all is packed by the nodes that are left", func() error {
		var w adminapi.BlobWork
		if err := s.ask(i, "POST", "/v1/blobs/flush", nil, &w); err != nil {
			return err
		}
		led := func(problem string) bool { return strings.HasPrefix(problem, "partition") }
		if w.Left > 0 || slices.ContainsFunc(w.Problems, led) {
			return fmt.Errorf("left: %+v", w)
		}
		return nil
	})
}

// outage takes the store away: mail is taken until the staging bound is reached and then put off, what a node has not in
// its cache is unavailable, and all goes on by itself afterwards.
func (s *site) outage(texts []string) {
	s.t.Helper()
	s.halt(3)
	if err := os.RemoveAll(s.config(3).Blobs.CacheDir); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.store(), s.store()+".away"); err != nil {
		s.t.Fatal(err)
	}
	s.serve(3)
	k := s.talk(3)
	k.ok("SELECT INBOX")
	if answer, _ := k.say("FETCH 1 BODY.PEEK[TEXT]"); !strings.HasPrefix(answer, "NO [UNAVAILABLE]") {
		s.t.Errorf("a body that is away: %s", answer)
	}
	k.ok("FETCH 1 (FLAGS ENVELOPE)")
	s.deliver(1, 10, 11)
	n := 0
	s.eventually("mail is put off above the staging bound", func() error { // what is staged is looked at now and then
		err := send(s.config(1 + n%3).SMTP.MX[0], "ada@example.org", noise(fmt.Sprint("n", n), 200<<10))
		n++
		if err == nil {
			return fmt.Errorf("message %d was taken", n)
		}
		if text := err.Error(); !strings.Contains(text, "452") || !strings.Contains(text, "4.3.1") {
			s.t.Errorf("above the staging bound: %v", err)
		}
		return nil
	})
	s.eventually("the operator is told", func() error {
		var st adminapi.Status
		told := func(p adminapi.Problem) bool {
			return strings.Contains(p.What, "node n3 does not get through to the object store")
		}
		if err := s.ask(2, "GET", "/v1/status", nil, &st); err != nil || slices.ContainsFunc(st.Problems, told) {
			return err
		}
		return fmt.Errorf("problems %v", st.Problems)
	})
	if err := os.Rename(s.store()+".away", s.store()); err != nil {
		s.t.Fatal(err)
	}
	s.flush(1)
	s.deliver(3, 11, 12)
	s.flush(2)
	s.sees(3, append(slices.Clone(texts), "Hello 10.", "Hello 11."))
}

// damage changes an octet of a pack, which verify finds, and puts it right again.
func (s *site) damage() {
	s.t.Helper()
	names := s.packs()
	if len(names) == 0 {
		s.t.Fatal("no packs")
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		s.t.Fatal(err)
	}
	wrong := bytes.Clone(data)
	wrong[len(wrong)/2] ^= 4
	if err := os.WriteFile(names[0], wrong, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if problems := s.verify(1); len(problems) == 0 {
		s.t.Error("damage was not found")
	}
	if err := os.WriteFile(names[0], data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if problems := s.verify(1); len(problems) > 0 {
		s.t.Errorf("found %q", problems)
	}
}

// TestBlobKeysOfACluster: with encryption no object shows what is in it; keys are exported, rotated and retired.
func TestBlobKeysOfACluster(t *testing.T) {
	t.Parallel()
	s := newSite(t, 53)
	s.start(1)
	if err := os.Mkdir(s.store(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.ask(1, "POST", "/v1/blobs/keys", nil, nil); err == nil {
		t.Error("a key was rotated without encryption")
	}
	if err := s.useBlobs(1, func(c *setting.Setting) { c.Encrypt = true }); err != nil {
		t.Fatal(err)
	}
	s.deliver(1, 0, 3)
	s.flush(1)
	for _, name := range s.packs() {
		if data, err := os.ReadFile(name); err != nil || bytes.Contains(data, []byte("Hello")) || bytes.Contains(data, []byte("ada@")) {
			t.Errorf("%s is not encrypted, %v", name, err)
		}
	}
	keys := func() (all []adminapi.BlobKey) {
		if err := s.ask(1, "GET", "/v1/blobs/keys", nil, &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	first := keys()
	if len(first) != 1 || !first[0].Current || first[0].Packs == 0 {
		t.Fatalf("keys %+v", first)
	}
	old := first[0].ID
	if err := s.ask(1, "POST", "/v1/blobs/keys/"+old+"/retire", nil, nil); err == nil {
		t.Error("the key of new packs was retired")
	}
	var secrets adminapi.BlobSecrets
	if err := s.ask(1, "GET", "/v1/blobs/secrets", nil, &secrets); err != nil || !strings.Contains(secrets.Text, old) {
		t.Errorf("exported %d octets, %v", len(secrets.Text), err)
	}
	if err := s.ask(1, "POST", "/v1/blobs/keys", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.ask(1, "POST", "/v1/blobs/keys/"+old+"/retire", nil, nil); err != nil {
		t.Fatal(err)
	}
	none := int64(0)
	s.eventually("nothing is under the old key", func() error {
		if err := s.work(1, "/v1/blobs/collect", adminapi.BlobCollect{GraceSeconds: &none}); err != nil {
			return err
		}
		for _, k := range keys() {
			if k.ID == old && (k.Packs > 0 || !k.Retiring) || k.ID != old && (k.Packs == 0 || !k.Current) {
				return fmt.Errorf("keys %+v", keys())
			}
		}
		return nil
	})
	s.sees(1, []string{"Hello 0.", "Hello 1.", "Hello 2."})
	if err := s.ask(1, "POST", "/v1/blobs/secrets", adminapi.BlobSecrets{Text: secrets.Text}, nil); err != nil {
		t.Errorf("import: %v", err)
	}
	if err := s.ask(1, "POST", "/v1/blobs/secrets", adminapi.BlobSecrets{Text: strings.ToUpper(secrets.Text)}, nil); err == nil {
		t.Error("keys were imported that nobody exported")
	}
	if problems := s.verify(1); len(problems) > 0 {
		t.Errorf("found %q", problems)
	}
}
