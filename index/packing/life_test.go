package packing_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/gc"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/blobstore/reader"
	"github.com/rookery-mail/rookery/blobstore/scrub"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/packing"
)

var errCrash = errors.New("the leader crashed")

// crash fails every event after so many: each command and each request to the store is two, before it is
// done and after.
type crash struct {
	object.Bucket
	packing.Proposer
	left atomic.Int64
}

func (c *crash) event() error {
	if c.left.Add(-1) < 0 {
		return errCrash
	}
	return nil
}

func (c *crash) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	if err := c.event(); err != nil {
		return err
	}
	return errors.Join(c.Bucket.Put(ctx, name, r, size), c.event())
}

func (c *crash) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := c.event(); err != nil {
		return nil, err
	}
	return c.Bucket.Get(ctx, name, offset, length)
}

func (c *crash) Delete(ctx context.Context, name string) error {
	if err := c.event(); err != nil {
		return err
	}
	return errors.Join(c.Bucket.Delete(ctx, name), c.event())
}

func (c *crash) Propose(ctx context.Context, g cluster.GroupID, cmd command.Command) ([]byte, cluster.LogIndex, error) {
	if err := c.event(); err != nil {
		return nil, 0, err
	}
	result, at, err := c.Proposer.Propose(ctx, g, cmd)
	return result, at, errors.Join(err, c.event())
}

type noKeys struct{}

func (noKeys) CurrentKey() (pack.ClusterKey, error) { return pack.ClusterKey{}, nil }

func (noKeys) ClusterKey(blobstore.KeyID) (pack.ClusterKey, error) {
	return pack.ClusterKey{}, blobstore.ErrNoKey
}

// life is a partition with a store, packed, read and collected by the real parts.
type life struct {
	*world
	memory *object.Memory
	frames map[uint64][][]byte // of each body, as it was staged
}

func newLife(t *testing.T) *life {
	l := &life{world: newWorld(t), memory: object.NewMemory(), frames: map[uint64][][]byte{}}
	for _, octets := range []int{50, 300 << 10, 5000} { // one line, three chunks, one chunk
		l.deliver(octets, 2, 4)
		l.deliver(octets+1, 6)
	}
	l.on()
	m := must[*blobstore.Manifest](t)(l.part.Pick(t.Context(), 1<<40, 1<<20))
	for _, b := range m.Bodies {
		for i := range b.Lengths {
			l.frames[b.Body] = append(l.frames[b.Body], must[[]byte](t)(l.part.Frame(t.Context(), b.Body, uint32(i))))
		}
	}
	return l
}

// lead runs fn beside a leader that packs into bucket and proposes to p.
func (l *life) lead(bucket object.Bucket, p packing.Proposer, fn func(flush func() error, collect func() error)) {
	l.t.Helper()
	part := l.through(p)
	clock := func() time.Time { return l.now }
	logger := slog.New(slog.DiscardHandler)
	pk, err := packer.New(packer.Config{
		Bucket: bucket, Keys: noKeys{}, Cluster: "test", Dir: l.t.TempDir(), Target: 64 << 10,
		Poll: time.Hour, Now: clock, Logger: logger,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	w := pk.Worker(part)
	c := gc.New(gc.Config{Bucket: bucket, Now: clock, Logger: logger})
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	// A store that has crashed is asked again until the leader is no more.
	bounded := func(fn func(context.Context) error) func() error {
		return func() error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			if c, ok := bucket.(*crash); ok {
				go c.watch(ctx, cancel)
			}
			return fn(ctx)
		}
	}
	fn(bounded(w.Flush), bounded(func(ctx context.Context) error {
		_, err := c.Collect(ctx, part, w, gc.Policy{Grace: -1, Target: 64 << 10})
		return err
	}))
	cancel()
	running.Wait()
}

// watch ends a leader that has crashed.
func (c *crash) watch(ctx context.Context, end func()) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if c.left.Load() < 0 {
				end()
			}
		}
	}
}

// expungeSome expunges the only messages of three bodies out of six.
func (l *life) expungeSome() {
	l.t.Helper()
	open := func(a index.AccountID) *mailstore.Mailbox {
		return must[*mailstore.Mailbox](l.t)(l.store.Account(a).Open(l.t.Context(), "INBOX"))
	}
	expunge(l.t, open(6), 2)
	expunge(l.t, open(6), 1)
	expunge(l.t, open(4), 2)
	expunge(l.t, open(2), 2)
}

// check holds that the state is sound, that every body is there with its octets, in the state or in a pack by the
// reader, that a scrub finds nothing, and that the bucket has the packs of the log and nothing else.
func (l *life) check(step, bodies int, mode blobstore.Mode) {
	l.t.Helper()
	t, ctx := l.t, l.t.Context()
	l.verify()
	if s := l.status(); s.Mode != mode {
		t.Errorf("step %d: mode %v", step, s.Mode)
	}
	found := 0
	staged := must[*blobstore.Manifest](t)(l.part.Pick(ctx, 1<<40, 1<<20))
	for _, b := range staged.Bodies {
		found++
		for i, want := range l.frames[b.Body] {
			if got, err := l.part.Frame(ctx, b.Body, uint32(i)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("step %d: staged body %d: %v", step, b.Body, err)
			}
		}
	}
	r := reader.New(ctx, reader.Config{Bucket: l.memory})
	defer r.Close()
	var names []string
	for _, p := range must[[]blobstore.PackInfo](t)(l.part.Packs(ctx)) {
		if p.State != blobstore.PackWhole {
			t.Errorf("step %d: left over: %+v", step, p)
		}
		names = append(names, p.Object())
		for _, e := range must[[]blobstore.Entry](t)(l.part.Entries(ctx, p.Number, nil)) {
			found++
			l.checkPacked(step, r, p, e)
		}
	}
	if found != bodies {
		t.Errorf("step %d: %d bodies of %d", step, found, bodies)
	}
	var there []string
	_ = l.memory.List(ctx, "", func(i object.Info) error { there = append(there, i.Name); return nil })
	slices.Sort(names)
	if !slices.Equal(names, there) {
		t.Errorf("step %d: the bucket has %v, the log %v", step, there, names)
	}
	_, err := scrub.Verify(ctx, scrub.Config{Bucket: l.memory}, l.part, func(f scrub.Finding) { t.Errorf("step %d: %v", step, f) })
	if err != nil {
		t.Errorf("step %d: %v", step, err)
	}
}

func (l *life) checkPacked(step int, r *reader.Reader, p blobstore.PackInfo, e blobstore.Entry) {
	l.t.Helper()
	at := int64(e.Offset)
	for i, n := range e.Lengths {
		got, err := r.Chunk(l.t.Context(), blobstore.Ref{Pack: &p.Pack, Offset: at, Length: int(n)})
		if err != nil || !bytes.Equal(got, l.frames[e.Body][i]) {
			l.t.Errorf("step %d: body %d in pack %d: %v", step, e.Body, p.Number, err)
		}
		at += int64(n)
	}
}

// TestLifeOfBodies delivers, packs, expunges, collects and brings home, with a leader that crashes one event
// later each time, on a real partition. Whatever it left, the next leader ends with the same state, and
// the bucket with nothing that the log does not know.
func TestLifeOfBodies(t *testing.T) {
	stride := 1
	if testing.Short() {
		stride = 7
	}
	finished, step := false, 0
	for ; !finished; step += stride {
		if step > 500 {
			t.Fatal("the life never ends")
		}
		t.Run("", func(t *testing.T) { finished = liveAndCrash(t, step) })
	}
	if step < 30 {
		t.Errorf("the leader crashed at %d steps only", step)
	}
}

func liveAndCrash(t *testing.T, step int) (finished bool) {
	l := newLife(t)
	c := &crash{Bucket: l.memory, Proposer: l.cluster}
	c.left.Store(int64(step))
	l.lead(c, c, func(flush, collect func() error) {
		_ = flush() // crashes
		l.expungeSome()
		_ = collect()
		_ = collect()
		_ = l.through(c).SetMode(t.Context(), false)
		_ = flush()
	})
	finished = c.left.Load() > 0
	l.now = l.now.Add(2 * time.Hour) // open packs are old
	l.lead(l.memory, l.cluster, func(flush, collect func() error) {
		must[any](t)(nil, l.part.SetMode(t.Context(), true))
		for _, fn := range []func() error{flush, collect, collect, collect} {
			if err := fn(); err != nil {
				t.Errorf("step %d: %v", step, err)
			}
		}
		for must[bool](t)(l.part.ListUsers(t.Context())) {
		}
	})
	l.check(step, 3, blobstore.Packed)
	l.lead(l.memory, l.cluster, func(flush, collect func() error) {
		must[any](t)(nil, l.part.SetMode(t.Context(), false))
		for _, fn := range []func() error{flush, collect} {
			if err := fn(); err != nil {
				t.Errorf("step %d, homing: %v", step, err)
			}
		}
	})
	l.check(step, 3, blobstore.Embedded)
	return finished
}
