package mailstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/reader"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
)

// away is a store whose bodies can be put into packs.
type away struct {
	*mailstoretest.Cluster
	*mailstore.Store
	memory *object.Memory
	fault  *object.Fault
	count  *object.Count
	reader *blobs
}

// blobs is a Reader that can be replaced by another.
type blobs struct{ *reader.Reader }

func newAway(t testing.TB, change func(*mailstore.Config, *reader.Config)) *away {
	t.Helper()
	a := &away{Cluster: mailstoretest.NewCluster(t), memory: object.NewMemory()}
	a.fault = object.NewFault(a.memory)
	a.count = object.NewCount(a.fault)
	rc := reader.Config{Bucket: a.count, Dir: filepath.Join(t.TempDir(), "blobs"), Timeout: time.Minute}
	a.Store = a.Cluster.Store(func(c *mailstore.Config) {
		if change != nil {
			change(c, &rc)
		}
		a.reader = &blobs{reader.New(context.WithoutCancel(t.Context()), rc)}
		t.Cleanup(func() { a.reader.Close() })
		c.Blobs = a.reader
	})
	return a
}

func (a *away) gets() uint64 { return a.count.Counts().Of(object.KindGet) }

// fill delivers messages to account 2 and returns their octets by UID.
func (a *away) fill(t testing.TB, n, lines int) map[index.UID]string {
	t.Helper()
	want := map[index.UID]string{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		var body strings.Builder
		for range lines {
			fmt.Fprintf(&body, "%016x%016x%016x%016x\r\n", random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64())
		}
		content := text(fmt.Sprint(i), body.String())
		for _, o := range mustDeliver(t, a.Store, content, mailstore.Target{Account: 2}) {
			want[o.UID] = trace + content
		}
	}
	return want
}

// bodies reads messages with Bodies and holds them against want, all of which has to come.
func bodies(t testing.TB, m *mailstore.Mailbox, want map[index.UID]string) {
	t.Helper()
	last, n := index.UID(0), 0
	err := m.Bodies(t.Context(), uidset.Of(index.UIDRange{Lo: 1, Hi: 1 << 20}), func(msg mailstore.Message, b mailstore.Body) error {
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err == nil && string(got) != want[msg.UID] || msg.UID <= last {
			t.Errorf("message %d behind %d: %d octets of %d, or others", msg.UID, last, len(got), len(want[msg.UID]))
		}
		if string(msg.Envelope().MessageId) == "" || len(msg.Structure().Type) == 0 {
			t.Errorf("message %d came without its summary", msg.UID)
		}
		last, n = msg.UID, n+1
		return err
	})
	if err != nil || n != len(want) {
		t.Errorf("%d messages of %d: %v", n, len(want), err)
	}
}

// sift reads messages with Sift and holds them against want.
func sift(t testing.TB, m *mailstore.Mailbox, want map[index.UID]string) error {
	t.Helper()
	var mu sync.Mutex
	passed, got := 0, map[index.UID]bool{}
	err := m.Sift(t.Context(), uidset.Of(index.UIDRange{Lo: 1, Hi: 1 << 20}), func() error { passed++; return nil },
		func() func(*mailstore.Message, mailstore.Body) error {
			return func(msg *mailstore.Message, b mailstore.Body) error {
				octets, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
				mu.Lock()
				defer mu.Unlock()
				if err == nil && string(octets) != want[msg.UID] || got[msg.UID] {
					t.Errorf("message %d: %d octets of %d, or others, or twice", msg.UID, len(octets), len(want[msg.UID]))
				}
				got[msg.UID] = true
				return err
			}
		})
	if err == nil && (len(got) != len(want) || passed != len(want)) {
		t.Errorf("%d messages, %d passed, not %d", len(got), passed, len(want))
	}
	return err
}

// TestColdFetch: 1,000 messages whose bodies are in a pack, 4 KiB each, are fetched in mailbox order, searched
// with nothing cached, and searched again.
func TestColdFetch(t *testing.T) {
	a := newAway(t, nil)
	want := a.fill(t, 1000, 60)
	a.Pack(t, 1, a.memory, 1<<20)
	m := open(t, a.Store, 2, "INBOX")
	gets := func() uint64 {
		before := a.gets()
		if err := sift(t, m, want); err != nil {
			t.Error(err)
		}
		return a.gets() - before
	}
	bodies(t, m, want)
	if got := a.gets(); got == 0 || got > 20 {
		t.Errorf("%d GETs in one piece", got)
	}
	a.forget(t)
	before := a.gets()
	for batch := range uidset.Of(index.UIDRange{Lo: 1, Hi: 1000}).Batches(100) { // as imapd/engine reads
		err := m.Bodies(t.Context(), batch, func(msg mailstore.Message, b mailstore.Body) error {
			octets := make([]byte, b.Size())
			if _, err := b.ReadAt(octets, 0); err != nil || string(octets) != want[msg.UID] {
				t.Errorf("message %d is another, %v", msg.UID, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	got := a.gets() - before
	if got == 0 || got > 30 {
		t.Errorf("%d GETs by a hundred", got)
	}
	t.Logf("%d GETs by a hundred", got)
	a.forget(t)
	if got := gets(); got == 0 || got > 20 {
		t.Errorf("%d GETs for a search", got)
	}
	if got := gets(); got != 0 {
		t.Errorf("%d GETs for what is cached", got)
	}
	verify(t, a.Cluster)
}

// TestMixed reads messages of which some are staged and some in packs, with one and several chunks, a copy, an
// empty body, and one that is expunged while they are read.
func TestMixed(t *testing.T) {
	a := newAway(t, func(c *mailstore.Config, _ *reader.Config) { c.InlineLimit, c.ChunkSize = 1<<10, 1<<10 })
	want := map[index.UID]string{}
	put := func(from, to int) {
		for i := from; i < to; i++ {
			content := text(fmt.Sprint(i), strings.Repeat(fmt.Sprintf("%d 0123456789abcdef\r\n", i*i), i%4*50))
			for _, o := range mustDeliver(t, a.Store, content, mailstore.Target{Account: 2}) {
				want[o.UID] = trace + content
			}
		}
	}
	m := open(t, a.Store, 2, "INBOX")
	put(0, 40)
	packs := a.Pack(t, 1, a.memory, 7)
	put(40, 60)
	if _, err := m.Copy(t.Context(), uidset.Of(index.UIDRange{Lo: 3, Hi: 10}, index.UIDRange{Lo: 50, Hi: 53}), "INBOX"); err != nil {
		t.Fatal(err)
	}
	for i, u := range []index.UID{3, 4, 5, 6, 7, 8, 9, 10, 50, 51, 52, 53} {
		want[61+index.UID(i)] = want[u]
	}
	bodies(t, m, want)
	if err := sift(t, m, want); err != nil {
		t.Error(err)
	}
	for u, octets := range want {
		if got := read(t, m, u); got != octets {
			t.Errorf("message %d: %d octets of %d", u, len(got), len(octets))
		}
	}
	// What is open goes on while its message goes, and its pack is rewritten and deleted.
	opened, err := m.OpenBody(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	err = m.Bodies(t.Context(), uidset.Of(index.UIDRange{Lo: 2, Hi: 6}), func(msg mailstore.Message, b mailstore.Body) error {
		if msg.UID == 2 {
			a.Repack(t, 1, a.memory, 1, packs[0])
			if err := a.memory.Delete(t.Context(), packs[0].Object()); err != nil {
				return err
			}
			a.forget(t)
		}
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err == nil && string(got) != want[msg.UID] {
			t.Errorf("message %d: %d octets of %d", msg.UID, len(got), len(want[msg.UID]))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(io.NewSectionReader(opened, 0, opened.Size())); err != nil || string(got) != want[4] {
		t.Errorf("an open body whose pack went: %d octets of %d, %v", len(got), len(want[4]), err)
	}
	verify(t, a.Cluster)
}

// forget makes the reader one that has nothing cached.
func (a *away) forget(t testing.TB) {
	t.Helper()
	a.reader.Close()
	a.reader.Reader = reader.New(context.WithoutCancel(t.Context()), reader.Config{Bucket: a.count, Dir: t.TempDir(), Timeout: time.Minute})
}

func TestOpenBodyHoldsNoSnapshot(t *testing.T) {
	a := newAway(t, nil)
	want := a.fill(t, 3, 10)
	a.Pack(t, 1, a.memory, 10)
	m := open(t, a.Store, 2, "INBOX")
	b, err := m.OpenBody(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Group(1).Replace(t.Context()); err != nil { // a snapshot would be kv.ErrRestored
		t.Fatal(err)
	}
	if got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size())); err != nil || string(got) != want[2] {
		t.Errorf("%d octets, %v", len(got), err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestStreamsLargeBody: a body that is read from front to back comes in few GETs; what that holds is measured in
// blobstore/reader and imapd.
func TestStreamsLargeBody(t *testing.T) {
	a := newAway(t, nil)
	want := a.fill(t, 1, 120000) // 8 MiB, half of that in the pack
	a.Pack(t, 1, a.memory, 10)
	if got := read(t, open(t, a.Store, 2, "INBOX"), 1); got != want[1] {
		t.Errorf("%d octets of %d, or others", len(got), len(want[1]))
	}
	if got := a.gets(); got > 6 {
		t.Errorf("%d GETs", got)
	}
}

func isAway(err error) bool {
	return errors.Is(err, cluster.ErrUnavailable) && errors.Is(err, index.ErrBodyAway)
}

func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAway(t, func(_ *mailstore.Config, c *reader.Config) { c.Timeout = reader.DefaultTimeout })
		want := a.fill(t, 300, 60)
		a.Pack(t, 1, a.memory, 1<<20)
		m := open(t, a.Store, 2, "INBOX")
		read(t, m, 1)
		a.fault.Set(object.Faults{Slow: time.Hour})
		if got := read(t, m, 2); got != want[2] {
			t.Error("a cached body cannot be read")
		}
		began := time.Now()
		for _, u := range []index.UID{200, 250, 300} {
			b, err := m.OpenBody(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.ReadAt(make([]byte, 1), 0); !isAway(err) {
				t.Errorf("message %d: %v", u, err)
			}
			if err := b.(access.Remote).Ready(0, 10); !isAway(err) {
				t.Errorf("message %d is to be ready: %v", u, err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > reader.DefaultTimeout {
			t.Errorf("three messages took %v", took)
		}
		if err := sift(t, m, want); !isAway(err) {
			t.Errorf("a search: %v", err)
		}
		staged := a.fill(t, 1, 5)
		for u, octets := range staged {
			if got := read(t, m, u); got != octets {
				t.Errorf("staged message %d cannot be read", u)
			}
			want[u] = octets
		}
		a.fault.Heal()
		time.Sleep(time.Minute)
		synctest.Wait()
		bodies(t, m, want)
		a.reader.Close()
	})
}

func TestStoreLies(t *testing.T) {
	a := newAway(t, nil)
	want := a.fill(t, 10, 60)
	packs := a.Pack(t, 1, a.memory, 5)
	m := open(t, a.Store, 2, "INBOX")
	a.memory.Flip(packs[0].Object(), 3000)
	if err := a.memory.Delete(t.Context(), packs[1].Object()); err != nil {
		t.Fatal(err)
	}
	good := 0
	for u := range index.UID(10) {
		b, err := m.OpenBody(t.Context(), u+1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		switch {
		case err == nil && string(got) == want[u+1]:
			good++
		case !isAway(err) || !errors.Is(err, blobstore.ErrDamaged):
			t.Errorf("message %d: %d octets, %v", u+1, len(got), err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if good != 4 {
		t.Errorf("%d messages can be read, want 4 of 5 beside the damaged one", good)
	}
}

func TestNoStoreSet(t *testing.T) {
	a := newAway(t, nil)
	a.fill(t, 1, 1)
	a.Pack(t, 1, a.memory, 10)
	m := open(t, a.Cluster.Store(), 2, "INBOX")
	b, err := m.OpenBody(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.ReadAt(make([]byte, 1), 0); !isAway(err) || !strings.Contains(err.Error(), "no object store is set") {
		t.Error(err)
	}
}

func TestCancelledWhileStoreIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAway(t, nil)
		a.fill(t, 2, 10)
		a.Pack(t, 1, a.memory, 10)
		a.fault.Set(object.Faults{Slow: time.Hour})
		m := open(t, a.Store, 2, "INBOX")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		all := uidset.Of(index.UIDRange{Lo: 1, Hi: 2})
		go func() {
			ended <- m.Bodies(ctx, all, func(_ mailstore.Message, b mailstore.Body) error {
				_, err := b.ReadAt(make([]byte, 1), 0)
				return err
			})
		}()
		go func() {
			ended <- m.Sift(ctx, all, func() error { return nil }, func() func(*mailstore.Message, mailstore.Body) error {
				return func(*mailstore.Message, mailstore.Body) error { return nil }
			})
		}()
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-ended; !errors.Is(err, context.Canceled) || isAway(err) {
				t.Error(err)
			}
		}
		a.reader.Close()
	})
}
