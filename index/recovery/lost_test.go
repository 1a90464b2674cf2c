package recovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/frame"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
)

// chunkSize is small, so that bodies have several chunks.
const chunkSize = 1000

var clusterKey = pack.ClusterKey{ID: blobstore.KeyID{1}, Secret: [32]byte{2}}

func keys(id blobstore.KeyID) (pack.ClusterKey, error) {
	if id != clusterKey.ID {
		return pack.ClusterKey{}, blobstore.ErrNoKey
	}
	return clusterKey, nil
}

func day(n int) time.Time { return time.Date(2026, 1, n, 12, 0, 0, 0, time.UTC) }

// text is the message of a body. Every third is larger than a chunk.
func text(body uint64) string {
	s := fmt.Sprintf("From: <x@example.net>\r\nMessage-ID: <%d@example.net>\r\nSubject: %d\r\n\r\n", body, body)
	if body%3 == 0 {
		s += strings.Repeat(fmt.Sprintf("Line of %d.\r\n", body), 400)
	}
	return s
}

// put makes a pack out of a manifest and puts it into the bucket. Every other one is encrypted.
func put(t testing.TB, bucket object.Bucket, number byte, m *blobstore.Manifest) string {
	t.Helper()
	p := blobstore.Pack{Group: m.Group, ID: blobstore.PackID{number, 15: byte(m.Group)}}
	var key *pack.Key
	if number%2 == 0 {
		key = &pack.Key{number}
		p.Key, p.SealedKey = clusterKey.ID, pack.Seal(clusterKey, p.ID, *key)
	}
	var b bytes.Buffer
	w, err := pack.NewWriter(&b, p, key)
	if err != nil {
		t.Fatal(err)
	}
	codec := frame.New()
	for i := range m.Bodies {
		octets := []byte(text(m.Bodies[i].Entry.Body))
		m.Bodies[i].Size, m.Bodies[i].ChunkSize = uint64(len(octets)), chunkSize
		w.Begin(m.Bodies[i].Entry.Body)
		for len(octets) > 0 {
			n := min(len(octets), chunkSize)
			if err := w.Chunk(codec.CompressShort(octets[:n])); err != nil {
				t.Fatal(err)
			}
			octets = octets[n:]
		}
		w.End()
	}
	if _, err := w.Finish(m); err != nil {
		t.Fatal(err)
	}
	if err := bucket.Put(t.Context(), p.Object(), bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil {
		t.Fatal(err)
	}
	return p.Object()
}

func user(box int, uid uint32, flags index.Flags, keywords ...uint32) blobstore.User {
	return blobstore.User{Mailbox: box, UID: uid, Flags: uint32(flags), Keywords: keywords, InternalDate: day(1).Add(time.Duration(uid) * time.Minute)}
}

func body(id uint64, users ...blobstore.User) blobstore.Body {
	return blobstore.Body{Entry: blobstore.Entry{Body: id}, Users: users}
}

// lose fills a bucket with the packs of a cluster that is no more, and gives their names.
func lose(t testing.TB, bucket object.Bucket) []string {
	ada, bob := blobstore.Account{ID: 1, Address: "ada@example.org"}, blobstore.Account{ID: 2, Address: "bob@example.net"}
	inbox := func(account int) blobstore.Mailbox {
		return blobstore.Mailbox{Account: account, ID: 1, Name: "INBOX", UIDValidity: 1, Keywords: []string{"$Forwarded", "work"}, Subscribed: true}
	}
	first := &blobstore.Manifest{Cluster: "old", Group: 1, Created: day(1), Accounts: []blobstore.Account{ada, bob}, Mailboxes: []blobstore.Mailbox{
		inbox(0), inbox(1), {Account: 0, ID: 7, Name: "Gesendet/Größe", UIDValidity: 3, SpecialUse: uint32(index.UseSent), Subscribed: true}}}
	for i := range uint64(70) {
		first.Bodies = append(first.Bodies, body(100+i, user(0, uint32(i+1), index.FlagSeen, 1)))
	}
	first.Bodies = append(first.Bodies, body(200, user(1, 1, 0), user(0, 71, index.FlagFlagged)), body(201, user(2, 1, index.FlagSeen)))
	// Message 1 was rewritten into another pack, with other flags; 2 was expunged and is kept. Two messages are alike.
	second := &blobstore.Manifest{Cluster: "old", Group: 1, Created: day(3), Accounts: []blobstore.Account{ada}, Mailboxes: []blobstore.Mailbox{
		inbox(0), {Account: 0, ID: 1, Name: "INBOX", UIDValidity: 9, Kept: true}}}
	alike := user(0, 90, 0)
	twin := alike
	twin.UID = 91
	second.Bodies = []blobstore.Body{body(100, user(0, 1, index.FlagSeen|index.FlagAnswered)), body(101, user(1, 1, 0)), body(300, alike, twin)}
	other := &blobstore.Manifest{Cluster: "old", Group: 2, Created: day(2), Accounts: []blobstore.Account{{ID: 5, Address: "eve@example.org"}},
		Mailboxes: []blobstore.Mailbox{inbox(0)}, Bodies: []blobstore.Body{body(100, user(0, 4, index.FlagDraft))}}
	return []string{put(t, bucket, 1, first), put(t, bucket, 2, second), put(t, bucket, 3, other)}
}

// found is the new cluster.
type found struct {
	t     *testing.T
	store *mailstore.Store
	gate  *gate

	mu       sync.Mutex
	accounts map[string]index.AccountID // guarded by mu
}

// gate passes so many commands and then none.
type gate struct {
	mailstore.Proposer
	mu   sync.Mutex
	left int // guarded by mu
}

var errGate = errors.New("the test ends here")

func (g *gate) Propose(ctx context.Context, id cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	g.mu.Lock()
	g.left--
	shut := g.left < 0
	g.mu.Unlock()
	if shut {
		return nil, 0, errors.Join(errGate, cluster.ErrUnavailable)
	}
	return g.Proposer.Propose(ctx, id, c)
}

func (g *gate) open(commands int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = commands
}

func newFound(t *testing.T) *found {
	f := &found{t: t, gate: &gate{left: 1 << 30}, accounts: map[string]index.AccountID{}}
	f.store = mailstoretest.New(t, func(c *mailstore.Config) { f.gate.Proposer, c.Proposer = c.Proposer, f.gate })
	return f
}

func (f *found) account(_ context.Context, address string) (index.AccountID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.accounts[address] == 0 {
		f.accounts[address] = index.AccountID(len(f.accounts) + 10)
	}
	return f.accounts[address], nil
}

func (f *found) config(bucket object.Bucket) Config {
	return Config{Bucket: bucket, Keys: keys, Self: "new", Store: f.store, Account: f.account, Pause: time.Microsecond, Tries: 3}
}

func (f *found) run(bucket object.Bucket, change func(*Config)) Report {
	f.t.Helper()
	c := f.config(bucket)
	if change != nil {
		change(&c)
	}
	report, err := Run(f.t.Context(), c)
	if err != nil || !report.Done {
		f.t.Fatalf("%+v, %v", report, err)
	}
	return report
}

// messages tells of each message of a mailbox, by UID, and compares its octets with those lost.
func (f *found) messages(address, name string) (lines []string) {
	f.t.Helper()
	ctx := f.t.Context()
	id, _ := f.account(ctx, address)
	box, err := f.store.Account(id).Open(ctx, name)
	if err != nil {
		f.t.Fatal(err)
	}
	err = box.Messages(ctx, uidset.Of(index.UIDRange{Lo: 1, Hi: 1000}), func(m mailstore.Message) error {
		b, err := box.OpenBody(ctx, m.UID)
		if err != nil {
			return err
		}
		defer b.Close()
		octets, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err != nil {
			return err
		}
		var n uint64
		if _, err := fmt.Sscanf(string(m.Envelope().Subject), "%d", &n); err != nil || string(octets) != text(n) {
			f.t.Errorf("message %d of %s in %q has other octets (%v)", m.UID, address, name, err)
		}
		lines = append(lines, fmt.Sprintf("%d at %s flags=%d %v", n, m.InternalDate.Format("02 15:04"), m.State.System, m.State.Keywords))
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return lines
}
