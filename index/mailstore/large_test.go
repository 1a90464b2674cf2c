package mailstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/packing"
	"github.com/rookery-mail/rookery/index/staging"
)

// sealed is keys with one cluster key.
type sealed struct{}

func (sealed) CurrentKey() (pack.ClusterKey, error) {
	return pack.ClusterKey{ID: blobstore.KeyID{1}, Secret: [32]byte{2}}, nil
}

func (s sealed) ClusterKey(blobstore.KeyID) (pack.ClusterKey, error) { return s.CurrentKey() }

// largeWorld is a store in object mode that puts large bodies into packs of their own.
type largeWorld struct {
	t       *testing.T
	cluster *mailstoretest.Cluster
	store   *mailstore.Store
	memory  *object.Memory
	fault   *object.Fault
	dir     string
	bound   atomic.Int64
	parts   map[cluster.GroupID]*packing.Partition
}

func newLargeWorld(t *testing.T) *largeWorld {
	w := &largeWorld{t: t, cluster: mailstoretest.NewCluster(t), memory: object.NewMemory(), dir: t.TempDir(),
		parts: make(map[cluster.GroupID]*packing.Partition)}
	w.fault = object.NewFault(w.memory)
	w.bound.Store(math.MaxInt64)
	p, err := packer.New(packer.Config{Bucket: w.fault, Keys: sealed{}, Cluster: "c", Dir: w.dir, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.store = w.cluster.Store(func(c *mailstore.Config) {
		c.ChunkSize, c.InlineLimit = 4<<10, 8<<10
		c.StagingBound = w.bound.Load
		c.Address = func(a index.AccountID) string { return fmt.Sprintf("a%d@example.org", a) }
		c.Large = func() (mailstore.LargeBody, error) { return p.Single() }
	})
	for g := cluster.GroupID(1); g <= mailstoretest.Partitions; g++ {
		part := packing.New(packing.Config{Group: g, Proposer: w.cluster,
			Replica: func() (packing.Replica, error) { return w.cluster.Group(g), nil }})
		if err := part.SetMode(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if more, err := part.ListUsers(t.Context()); more || err != nil {
			t.Fatal(more, err)
		}
		w.parts[g] = part
	}
	return w
}

// packs returns how many packs of a partition are in a state, and verifies all partitions.
func (w *largeWorld) packs(g cluster.GroupID, state blobstore.PackState) (n int) {
	w.t.Helper()
	for g := range w.parts {
		snap := w.cluster.Group(g).Snapshot()
		if err := mailbox.Verify(snap); err != nil {
			w.t.Errorf("%v: %v", g, err)
		}
		_ = snap.Close()
	}
	snap := w.cluster.Group(g).Snapshot()
	defer snap.Close()
	err := staging.Packs(snap, func(_ uint64, rec *indexpb.PackRecord) error {
		if blobstore.PackState(rec.State) == state {
			n++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// spooled is how many files are left of bodies on their way.
func (w *largeWorld) spooled() int {
	w.t.Helper()
	files, err := os.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(files)
}

func (w *largeWorld) staged(g cluster.GroupID) uint64 {
	w.t.Helper()
	s, err := w.parts[g].Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Bytes
}

// octets are a message of so many lines that do not compress much.
func octets(id string, lines int) string {
	var b strings.Builder
	for n := range lines {
		fmt.Fprintf(&b, "%x\r\n", pack.Key{byte(n), byte(n >> 8), byte(n * 7), byte(n * 31)})
		fmt.Fprintf(&b, "%x\r\n", uint64(n)*0x9e3779b97f4a7c15)
	}
	return text(id, b.String())
}

// contents reads the object of the only whole pack of a partition, and checks all of it.
func (w *largeWorld) contents(g cluster.GroupID) *pack.Contents {
	w.t.Helper()
	infos, err := w.parts[g].Packs(w.t.Context())
	if err != nil || len(infos) != 1 {
		w.t.Fatal(infos, err)
	}
	r, err := w.memory.Get(w.t.Context(), infos[0].Object(), 0, -1)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil || uint64(len(all)) != infos[0].Size {
		w.t.Fatal(len(all), infos[0], err)
	}
	c, err := pack.Read(strings.NewReader(string(all)), int64(len(all)), sealed{}.ClusterKey)
	if err == nil {
		_, err = c.Verify(strings.NewReader(string(all)), nil)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestLargeBodyBecomesAPack(t *testing.T) {
	w := newLargeWorld(t)
	msg := octets("large", 3000)
	mustDeliver(t, w.store, msg, mailstore.Target{Account: 2, Keywords: []string{"$Work"}}, mailstore.Target{Account: 4, Mailbox: "New"}, mailstore.Target{Account: 3})
	for g := cluster.GroupID(1); g <= 2; g++ {
		if whole, open := w.packs(g, blobstore.PackWhole), w.packs(g, blobstore.PackOpen); whole != 1 || open != 0 {
			t.Errorf("%v: %d whole packs, %d open", g, whole, open)
		}
		if n := w.staged(g); n != 0 {
			t.Errorf("%v: %d octets are staged", g, n)
		}
	}
	c := w.contents(1)
	m, b := c.Manifest, c.Manifest.Bodies[0]
	if len(m.Bodies) != 1 || b.Body == 0 || len(b.Users) != 2 || b.Size != uint64(len(trace)+len(msg)) || len(b.Lengths) < 3 {
		t.Errorf("manifest %+v", m)
	}
	if box := m.Mailboxes[b.Users[0].Mailbox]; m.Accounts[box.Account].Address != "a2@example.org" || box.Name != "INBOX" || box.Keywords[b.Users[0].Keywords[0]] != "$Work" {
		t.Errorf("first user %+v in %+v", b.Users[0], box)
	}
	if box := m.Mailboxes[b.Users[1].Mailbox]; m.Accounts[box.Account].Address != "a4@example.org" || box.Name != "New" {
		t.Errorf("second user %+v in %+v", b.Users[1], box)
	}
	described, err := w.parts[1].Describe(t.Context(), 1, []uint64{b.Body})
	if err != nil || len(described.Bodies) != 1 || described.Bodies[0].Offset != b.Offset {
		t.Errorf("described %+v, %v", described, err)
	}
	if n := w.spooled(); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestAppendedLargeBodiesBecomePacks(t *testing.T) {
	w := newLargeWorld(t)
	var all []*mailstore.Incoming
	for n := range 3 {
		in := w.store.NewIncoming(t.Context(), []index.AccountID{2}, nil)
		defer in.Discard()
		if _, err := io.WriteString(in, octets(fmt.Sprint(n), []int{2000, 2, 2500}[n])); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Park(1 << 20); err != nil {
			t.Fatal(err)
		}
		all = append(all, in)
	}
	options := make([]mailstore.AppendOptions, 3)
	if _, err := w.store.Account(2).AppendAll(t.Context(), "Nowhere", all, options); !errors.Is(err, index.ErrNoMailbox) {
		t.Fatal(err)
	}
	if doomed := w.packs(1, blobstore.PackDoomed); doomed != 2 {
		t.Errorf("%d packs of refused messages are doomed", doomed)
	}
	in := w.store.NewIncoming(t.Context(), []index.AccountID{2}, nil)
	defer in.Discard()
	if _, err := io.WriteString(in, octets("one", 2000)); err != nil {
		t.Fatal(err)
	}
	if u, _, err := in.Append(t.Context(), "Sent", mailstore.AppendOptions{}); u != 1 || err != nil {
		t.Fatal(u, err)
	}
	if whole := w.packs(1, blobstore.PackWhole); whole != 1 {
		t.Errorf("%d whole packs", whole)
	}
}

func TestLargeBodyThatNobodyTakes(t *testing.T) {
	w := newLargeWorld(t)
	msg := octets("twice", 2000)
	to := mailstore.Target{Account: 2, Address: "a2@example.org"}
	mustDeliver(t, w.store, msg, to)
	if again := mustDeliver(t, w.store, msg, to); !again[0].Duplicate {
		t.Error(again)
	}
	if whole, doomed := w.packs(1, blobstore.PackWhole), w.packs(1, blobstore.PackDoomed); whole != 1 || doomed != 1 {
		t.Errorf("%d whole packs, %d doomed", whole, doomed)
	}
}

// TestLargeBodyWithoutTheStore: whatever the store does, the message is kept, in the log.
func TestLargeBodyWithoutTheStore(t *testing.T) {
	for name, faults := range map[string]object.Faults{
		"down":                      {Down: true},
		"read-only":                 {ReadOnly: true},
		"throttled":                 {SlowDown: true},
		"loses":                     {LosePuts: true},
		"truncates":                 {TruncatePuts: true},
		"corrupts":                  {CorruptGets: true},
		"down when it is read back": {Down: true, After: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newLargeWorld(t)
			w.fault.Set(faults)
			msg := octets("large", 2000)
			mustDeliver(t, w.store, msg, mailstore.Target{Account: 2}, mailstore.Target{Account: 3})
			for a := index.AccountID(2); a <= 3; a++ {
				if got := read(t, open(t, w.store, a, "INBOX"), 1); got != trace+msg {
					t.Errorf("account %d has %d octets of %d", a, len(got), len(trace+msg))
				}
			}
			if whole, open, staged := w.packs(1, blobstore.PackWhole), w.packs(1, blobstore.PackOpen), w.staged(1); whole != 0 || open != 0 || staged == 0 {
				t.Errorf("%d whole packs, %d open, %d octets staged", whole, open, staged)
			}
			if n := w.spooled(); n != 0 {
				t.Errorf("%d files are left", n)
			}
		})
	}
}

// TestLargeBodyWithAStoreThatHangs: it takes a part of the time that there is, and the next message none.
func TestLargeBodyWithAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLargeWorld(t)
		w.fault.Set(object.Faults{Slow: time.Hour})
		for n, most := range []time.Duration{21 * time.Second, 0} {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			in := w.store.NewIncoming(t.Context(), []index.AccountID{2}, nil)
			defer in.Discard()
			if _, err := io.WriteString(in, octets(fmt.Sprint(n), 2000)); err != nil {
				t.Fatal(err)
			}
			out, err := in.Deliver(ctx, mailstore.Delivery{Targets: []mailstore.Target{{Account: 2}}})
			if took := time.Since(began); err != nil || out[0].Err != nil || took > most {
				t.Errorf("message %d: %v, %v after %v", n, err, out, took)
			}
		}
		if open, doomed := w.packs(1, blobstore.PackOpen), w.packs(1, blobstore.PackDoomed); open != 0 || doomed != 1 {
			t.Errorf("%d open packs, %d doomed", open, doomed)
		}
	})
}

// TestLargeBodyWithoutDisk: a spool that breaks half way loses nothing.
func TestLargeBodyWithoutDisk(t *testing.T) {
	w := newLargeWorld(t)
	store := w.cluster.Store(func(c *mailstore.Config) {
		c.ChunkSize, c.InlineLimit = 4<<10, 8<<10
		c.Large = func() (mailstore.LargeBody, error) { return &fullDisk{room: 5}, nil }
	})
	msg := octets("large", 2000)
	mustDeliver(t, store, msg, mailstore.Target{Account: 2})
	if got := read(t, open(t, store, 2, "INBOX"), 1); got != trace+msg {
		t.Errorf("%d octets of %d", len(got), len(trace+msg))
	}
}

// fullDisk takes as many chunks as there is room for.
type fullDisk struct {
	mailstore.LargeBody
	frames [][]byte
	room   int
}

func (d *fullDisk) Add(frame []byte) error {
	if len(d.frames) == d.room {
		return errors.New("no room")
	}
	d.frames = append(d.frames, []byte(string(frame)))
	return nil
}

func (d *fullDisk) Frames(fn func([]byte) error) error {
	for _, f := range d.frames {
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

func (d *fullDisk) Close() {}

// TestModeChangesUnderLargeBody: bodies go home while a large one is on its way into a pack.
func TestModeChangesUnderLargeBody(t *testing.T) {
	w := newLargeWorld(t)
	p, err := packer.New(packer.Config{Bucket: w.fault, Keys: sealed{}, Cluster: "c", Dir: t.TempDir(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	store := w.cluster.Store(func(c *mailstore.Config) {
		c.ChunkSize, c.InlineLimit = 4<<10, 8<<10
		c.Large = func() (mailstore.LargeBody, error) {
			s, err := p.Single()
			return &turning{s, func() error { return w.parts[1].SetMode(t.Context(), false) }}, err
		}
	})
	out := deliver(t, store, octets("large", 2000), mailstore.Target{Account: 2})
	if !errors.Is(out[0].Err, cluster.ErrUnavailable) {
		t.Fatal(out[0].Err)
	}
	mustDeliver(t, store, octets("large", 2000), mailstore.Target{Account: 2}) // sent again
	if whole := w.packs(1, blobstore.PackWhole); whole != 0 {
		t.Errorf("%d whole packs at home", whole)
	}
}

// turning does something once the object is put.
type turning struct {
	*packer.Single
	then func() error
}

func (s *turning) Put(ctx context.Context, group uint16, m *blobstore.Manifest, begin func(blobstore.Pack) (uint64, error)) (blobstore.Entry, int64, error) {
	e, size, err := s.Single.Put(ctx, group, m, begin)
	return e, size, errors.Join(err, s.then())
}

func TestStagingBound(t *testing.T) {
	w := newLargeWorld(t)
	small, to := octets("small", 20), mailstore.Target{Account: 2}
	mustDeliver(t, w.store, small, to)
	staged := w.staged(1)
	w.bound.Store(int64(staged) - 1)
	full := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, index.ErrStagingFull) || !errors.Is(err, cluster.ErrStorageFull) {
			t.Errorf("%s: %v", what, err)
		}
	}
	full("delivered", deliver(t, w.store, octets("more", 20), to)[0].Err)
	in := w.store.NewIncoming(t.Context(), []index.AccountID{2}, nil)
	defer in.Discard()
	if _, err := io.WriteString(in, small); err != nil {
		t.Fatal(err)
	}
	_, _, err := in.Append(t.Context(), "INBOX", mailstore.AppendOptions{})
	full("appended", err)
	mustDeliver(t, w.store, octets("large", 2000), to) // nothing of it waits
	w.fault.Set(object.Faults{Down: true})
	full("large, while the store is down", deliver(t, w.store, octets("large too", 2000), to)[0].Err)
	mustDeliver(t, w.store, octets("elsewhere", 20), mailstore.Target{Account: 3})
	if n := w.staged(1); n != staged {
		t.Errorf("%d octets are staged, %d before", n, staged)
	}
	if err := w.parts[1].SetMode(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	mustDeliver(t, w.store, octets("at home", 20), to) // where nothing waits
	w.packs(1, blobstore.PackWhole)
}

// TestEmbeddedStoreAsksNothing: without object mode a bound means nothing, and no pack is begun.
func TestEmbeddedStoreAsksNothing(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	kinds := make(map[command.Kind]int)
	store := c.Store(func(m *mailstore.Config) {
		m.ChunkSize, m.InlineLimit = 4<<10, 8<<10
		m.StagingBound = func() int64 { return 0 }
		m.Large = func() (mailstore.LargeBody, error) { return nil, blobstore.ErrUnavailable }
		next := m.Proposer
		m.Proposer = proposerFunc(func(ctx context.Context, g cluster.GroupID, cmd command.Command) ([]byte, cluster.LogIndex, error) {
			kinds[cmd.Kind]++
			return next.Propose(ctx, g, cmd)
		})
	})
	mustDeliver(t, store, octets("small", 20), mailstore.Target{Account: 2})
	mustDeliver(t, store, octets("small, too", 20), mailstore.Target{Account: 2})
	if len(kinds) != 1 || kinds[command.Deliver] != 2 {
		t.Errorf("proposed %v", kinds)
	}
}

type proposerFunc func(context.Context, cluster.GroupID, command.Command) ([]byte, cluster.LogIndex, error)

func (f proposerFunc) Propose(ctx context.Context, g cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	return f(ctx, g, c)
}
