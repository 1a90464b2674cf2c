package packing_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/gc"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/blobstore/scrub"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/packing"
	"github.com/rookery-mail/rookery/index/uidset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	_ packer.Partition = (*packing.Partition)(nil)
	_ gc.Partition     = (*packing.Partition)(nil)
	_ scrub.Partition  = (*packing.Partition)(nil)
)

// world is partition 1 of a store, with the accounts of even numbers.
type world struct {
	t       *testing.T
	cluster *mailstoretest.Cluster
	group   *mailstoretest.Group
	store   *mailstore.Store
	part    *packing.Partition
	now     time.Time
}

func newWorld(t *testing.T, options ...mailstoretest.Option) *world {
	c := mailstoretest.NewCluster(t)
	w := &world{t: t, cluster: c, group: c.Group(1), now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	options = append(options, func(m *mailstore.Config) { m.Clock = clock })
	w.store = c.Store(options...)
	w.part = w.through(c)
	return w
}

// through is the partition with what it proposes going through p.
func (w *world) through(p packing.Proposer) *packing.Partition {
	return packing.New(packing.Config{
		Group: 1, Proposer: p, Clock: func() time.Time { return w.now },
		Replica: func() (packing.Replica, error) { return w.group, nil },
		Address: func(a index.AccountID) string { return fmt.Sprintf("a%d@example.org", a) },
	})
}

// deliver delivers a message of about so many octets to accounts, and checks the state when the test ends.
func (w *world) deliver(octets int, accounts ...index.AccountID) {
	w.t.Helper()
	in := w.store.NewIncoming(w.t.Context(), accounts, nil)
	defer in.Discard()
	text := strings.Repeat("some words of a message ", octets/24)
	for octets > 4096 { // not to be compressed
		text += fmt.Sprintf("%x\r\n", time.Now().UnixNano())
		if len(text) > octets {
			break
		}
	}
	if _, err := fmt.Fprintf(in, "Subject: %d\r\n\r\n%s\r\n", octets, text); err != nil {
		w.t.Fatal(err)
	}
	var targets []mailstore.Target
	for _, a := range accounts {
		targets = append(targets, mailstore.Target{Account: a, Flags: index.FlagFlagged | index.FlagDeleted, Keywords: []string{"$Work"}})
	}
	outcomes, err := in.Deliver(w.t.Context(), mailstore.Delivery{Targets: targets, Received: w.now.Add(-time.Hour)})
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) verify() {
	w.t.Helper()
	snap := w.group.Snapshot()
	defer snap.Close()
	if err := mailbox.Verify(snap); err != nil {
		w.t.Error(err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) status() blobstore.Backlog {
	w.t.Helper()
	return must[blobstore.Backlog](w.t)(w.part.Status(w.t.Context()))
}

// on goes into object mode.
func (w *world) on() {
	w.t.Helper()
	if err := w.part.SetMode(w.t.Context(), true); err != nil {
		w.t.Fatal(err)
	}
	for must[bool](w.t)(w.part.ListUsers(w.t.Context())) {
	}
	if s := w.status(); s.Mode != blobstore.Packed {
		w.t.Fatal(s)
	}
}

// entries places the bodies of a manifest, one behind the other.
func entries(m *blobstore.Manifest) (all []blobstore.Entry) {
	at := uint64(100)
	for _, b := range m.Bodies {
		e := blobstore.Entry{Body: b.Body, Offset: at}
		for _, n := range b.Lengths {
			e.Lengths = append(e.Lengths, n+blobstore.SumSize)
		}
		at = e.End()
		all = append(all, e)
	}
	return all
}

// pack packs all that is staged and returns the pack's number.
func (w *world) pack() uint64 {
	w.t.Helper()
	m := must[*blobstore.Manifest](w.t)(w.part.Pick(w.t.Context(), 1<<40, 1<<20))
	n := must[uint64](w.t)(w.part.Begin(w.t.Context(), blobstore.Pack{Group: 1, ID: blobstore.PackID{byte(len(m.Bodies))}}))
	if err := w.part.Packed(w.t.Context(), n, entries(m), 0, true, 12345); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) only() blobstore.PackInfo {
	w.t.Helper()
	all := must[[]blobstore.PackInfo](w.t)(w.part.Packs(w.t.Context()))
	if len(all) != 1 {
		w.t.Fatal(all)
	}
	return all[0]
}

func TestPickAndPack(t *testing.T) {
	w := newWorld(t)
	w.deliver(100, 4, 2) // one body, two users
	w.deliver(300, 2)
	w.deliver(400<<10, 2) // of several chunks
	if s := w.status(); s.Mode != blobstore.Embedded || s.Bytes != 0 {
		t.Fatal(s)
	}
	w.on()
	w.now = w.now.Add(time.Minute)
	w.deliver(200, 4)
	w.verify()

	m := must[*blobstore.Manifest](t)(w.part.Pick(t.Context(), 1<<40, 100))
	var order []string
	octets := uint64(0)
	for _, b := range m.Bodies {
		order = append(order, fmt.Sprint(b.Body, len(b.Lengths), len(b.Users)))
		for n, want := range b.Lengths {
			frame := must[[]byte](t)(w.part.Frame(t.Context(), b.Body, uint32(n)))
			if len(frame) != int(want) {
				t.Errorf("chunk %d of body %d has %d octets, not %d", n, b.Body, len(frame), want)
			}
			octets += uint64(want)
		}
	}
	if got := fmt.Sprint(order); got[:len("[1 1 2 2 1 1 3 ")] != "[1 1 2 2 1 1 3 " || order[3] != "4 1 1" {
		t.Errorf("picked %v", order)
	}
	if s := w.status(); s.Bytes != octets || s.Bodies != 4 || !s.Since.Equal(w.now.Add(-time.Minute)) {
		t.Errorf("status %+v, %d octets", s, octets)
	}
	u := m.Bodies[0].Users[1]
	box := m.Mailboxes[u.Mailbox]
	if a := m.Accounts[box.Account]; a.ID != 4 || a.Address != "a4@example.org" || box.Name != "INBOX" || !box.Subscribed ||
		box.Keywords[u.Keywords[0]] != "$Work" || u.UID != 1 || u.Flags != uint32(index.FlagFlagged|index.FlagDeleted) || !u.InternalDate.Equal(w.now.Add(-61*time.Minute)) {
		t.Errorf("second user %+v of %+v in %+v", u, box, a)
	}
	if few := must[*blobstore.Manifest](t)(w.part.Pick(t.Context(), 1, 100)); len(few.Bodies) != 1 {
		t.Errorf("%d bodies for one octet", len(few.Bodies))
	}

	n := w.pack()
	w.verify()
	p := w.only()
	if s := w.status(); s.Bytes != 0 || s.Bodies != 0 || p.State != blobstore.PackWhole || p.LiveBodies != 4 || p.Number != n || p.Size != 12345 {
		t.Errorf("packed: %+v, %+v", s, p)
	}
	if _, err := w.part.Frame(t.Context(), m.Bodies[0].Body, 0); !errors.Is(err, packing.ErrGone) {
		t.Errorf("a chunk that is packed: %v", err)
	}
	again := must[*blobstore.Manifest](t)(w.part.Describe(t.Context(), n, []uint64{1, 2, 3, 4, 99, 1}))
	for i, e := range entries(m) {
		if got := again.Bodies[i].Entry; len(again.Bodies) != 4 || got.Body != e.Body || got.Offset != e.Offset || !slices.Equal(got.Lengths, e.Lengths) {
			t.Errorf("described %+v, packed as %+v", got, e)
		}
	}
	if err := w.part.Packed(t.Context(), n, entries(m), 0, true, 1); !errors.Is(err, packing.ErrNoPack) {
		t.Errorf("packed again: %v", err)
	}
}

func TestManyEntriesGoInSeveralCommands(t *testing.T) {
	w := newWorld(t)
	w.on()
	w.deliver(50, 2)
	m := must[*blobstore.Manifest](t)(w.part.Pick(t.Context(), 1, 1))
	all := entries(m)
	for len(all) < 9000 { // of bodies that are not there any more
		all = append(all, blobstore.Entry{Body: uint64(1000 + len(all)), Offset: all[len(all)-1].End(), Lengths: []uint32{20, 30}})
	}
	n := must[uint64](t)(w.part.Begin(t.Context(), blobstore.Pack{ID: blobstore.PackID{1}, Key: blobstore.KeyID{1}, SealedKey: []byte("sealed")}))
	if err := w.part.Packed(t.Context(), n, all[:5000], 0, false, 0); err != nil {
		t.Fatal(err)
	}
	if p := w.only(); p.State != blobstore.PackOpen || p.Key != (blobstore.KeyID{1}) || string(p.SealedKey) != "sealed" {
		t.Errorf("half said: %+v", p)
	}
	if err := w.part.Packed(t.Context(), n, all, 0, true, 7); err != nil { // the first half again
		t.Fatal(err)
	}
	// The body's one chunk has a checksum where a seal was to be: it stays staged.
	if p := w.only(); p.State != blobstore.PackDoomed || p.LiveBodies != 0 || p.DeadBytes != all[len(all)-1].End()-100 {
		t.Errorf("said twice: %+v", p)
	}
	w.verify()
	if err := w.part.Forget(t.Context(), []uint64{n, n + 1}); err != nil {
		t.Fatal(err)
	}
	if all := must[[]blobstore.PackInfo](t)(w.part.Packs(t.Context())); len(all) != 0 {
		t.Error(all)
	}
}

func TestUnusedPacksAreDoomed(t *testing.T) {
	w := newWorld(t)
	w.deliver(50, 2)
	w.deliver(60, 2)
	w.on()
	n := w.pack()
	box := must[*mailstore.Mailbox](t)(w.store.Account(2).Open(t.Context(), "INBOX"))
	expunge(t, box, 1)
	w.verify()
	if p := w.only(); p.State != blobstore.PackWhole || p.LiveBodies != 1 || p.DeadBytes == 0 {
		t.Errorf("one is expunged: %+v", p)
	}
	if m := must[*blobstore.Manifest](t)(w.part.Describe(t.Context(), n, []uint64{1, 2})); len(m.Bodies) != 1 || m.Bodies[0].Body != 2 {
		t.Errorf("described %+v", m.Bodies)
	}
	w.now = w.now.Add(time.Hour)
	expunge(t, box, 2)
	if p := w.only(); p.State != blobstore.PackDoomed || !p.Since.Equal(w.now) || p.LiveBytes != 0 {
		t.Errorf("all are expunged: %+v", p)
	}
	w.verify()
}

func TestHome(t *testing.T) {
	w := newWorld(t)
	w.deliver(400<<10, 2)
	w.on()
	m := must[*blobstore.Manifest](t)(w.part.Pick(t.Context(), 1, 1))
	var frames [][]byte
	for n := range m.Bodies[0].Lengths {
		frames = append(frames, must[[]byte](t)(w.part.Frame(t.Context(), m.Bodies[0].Body, uint32(n))))
	}
	n, ctx := w.pack(), t.Context()
	unpack := func(first int, end int) {
		t.Helper()
		if err := w.part.Unpack(ctx, n, m.Bodies[0].Body, uint32(first), frames[first:end]); err != nil {
			t.Fatal(err)
		}
		w.verify()
	}
	if err := w.part.Unpack(ctx, n, 1, 0, frames[:1]); !errors.Is(err, packing.ErrRefused) {
		t.Errorf("unpacked in mode packed: %v", err)
	}
	setMode := func(object bool, want blobstore.Mode) {
		t.Helper()
		if err := w.part.SetMode(ctx, object); err != nil {
			t.Fatal(err)
		}
		if s := w.status(); s.Mode != want {
			t.Errorf("mode %v, not %v", s.Mode, want)
		}
		w.verify()
	}
	setMode(false, blobstore.Homing)
	if _, err := w.part.Begin(ctx, blobstore.Pack{ID: blobstore.PackID{9}}); !errors.Is(err, packing.ErrNoPack) {
		t.Errorf("a pack is begun on the way home: %v", err)
	}
	unpack(0, 2)
	setMode(true, blobstore.Packed) // turned round half way
	setMode(false, blobstore.Homing)
	unpack(1, len(frames)) // the second one again
	if p, s := w.only(), w.status(); p.State != blobstore.PackDoomed || s.Bodies != 1 {
		t.Errorf("home: %+v, %+v", p, s)
	}
	setMode(false, blobstore.Embedded)
	if err := w.part.Forget(ctx, []uint64{n}); err != nil {
		t.Fatal(err)
	}
	setMode(true, blobstore.Listing)
	if n := must[uint64](t)(w.part.Begin(ctx, blobstore.Pack{ID: blobstore.PackID{9}})); n != 2 {
		t.Errorf("the next pack has number %d", n)
	}
}

func TestPacksOfLargeMessagesAreLeftAlone(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.on()
	n, body, err := w.part.BeginOwn(ctx, blobstore.Pack{ID: blobstore.PackID{1}})
	if err != nil || n != 1 || body == 0 {
		t.Fatal(n, body, err)
	}
	if all := must[[]blobstore.PackInfo](t)(w.part.Packs(ctx)); len(all) != 0 {
		t.Errorf("while its message may come: %+v", all)
	}
	w.now = w.now.Add(packing.OwnFor)
	if p := w.only(); p.State != blobstore.PackOpen {
		t.Errorf("after that: %+v", p)
	}
	if err := w.part.Abandon(ctx, n); err != nil {
		t.Fatal(err)
	}
	if p := w.only(); p.State != blobstore.PackDoomed {
		t.Errorf("abandoned: %+v", p)
	}
	if err := w.part.Abandon(ctx, n); !errors.Is(err, packing.ErrNoPack) {
		t.Errorf("abandoned again: %v", err)
	}
	w.verify()
}

func expunge(t *testing.T, box *mailstore.Mailbox, u index.UID) {
	t.Helper()
	if gone, err := box.Expunge(t.Context(), uidset.Of(index.UIDRange{Lo: u, Hi: u})); err != nil || gone.Len() != 1 {
		t.Fatal(gone, err)
	}
}
