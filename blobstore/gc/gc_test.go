package gc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/gc"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/blobstore/packertest"
)

var (
	_ gc.Partition = (*packertest.Partition)(nil)
	_ gc.Maker     = (*packer.Worker)(nil)
)

// plain is keys without any.
type plain struct{}

func (plain) CurrentKey() (pack.ClusterKey, error) { return pack.ClusterKey{}, nil }

func (plain) ClusterKey(blobstore.KeyID) (pack.ClusterKey, error) {
	return pack.ClusterKey{}, blobstore.ErrNoKey
}

var errCrash = errors.New("the leader crashed")

// crash is a store that lets so many events go by, of its own and of a partition, and then fails all.
type crash struct {
	object.Bucket
	left atomic.Int64
}

func (c *crash) event(string, bool) error {
	if c.left.Add(-1) < 0 {
		return errCrash
	}
	return nil
}

func (c *crash) around(fn func() error) error {
	if err := c.event("", false); err != nil {
		return err
	}
	return errors.Join(fn(), c.event("", true))
}

func (c *crash) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	return c.around(func() error { return c.Bucket.Put(ctx, name, r, size) })
}

func (c *crash) Delete(ctx context.Context, name string) error {
	return c.around(func() error { return c.Bucket.Delete(ctx, name) })
}

// world is a partition, a store, and a leader that packs and collects.
type world struct {
	t      *testing.T
	part   *packertest.Partition
	memory *object.Memory
	policy gc.Policy
}

func newWorld(t *testing.T) *world {
	return &world{t: t, part: packertest.New(3, time.Now), memory: object.NewMemory(), policy: gc.Policy{Target: 64 << 10}}
}

// lead runs fn beside a leader that packs into bucket.
func (w *world) lead(bucket object.Bucket, fn func(ctx context.Context, p *packer.Packer, collect func() (gc.Report, error))) {
	w.t.Helper()
	logger := slog.New(slog.DiscardHandler)
	p, err := packer.New(packer.Config{
		Bucket: bucket, Keys: plain{}, Dir: w.t.TempDir(), Target: 64 << 10, Poll: 5 * time.Minute, Now: time.Now, Logger: logger,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*24*time.Hour)
	worker := p.Worker(w.part)
	c := gc.New(gc.Config{Bucket: bucket, Policy: func() gc.Policy { return w.policy }, Every: time.Hour, Now: time.Now, Logger: logger})
	done := make(chan struct{}, 2)
	go func() { worker.Run(ctx); done <- struct{}{} }()
	go func() { c.Run(ctx, w.part, worker); done <- struct{}{} }()
	synctest.Wait()
	fn(ctx, p, func() (gc.Report, error) {
		short, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return c.Collect(short, w.part, worker, w.policy)
	})
	cancel()
	<-done
	<-done
}

// check holds state and bucket against each other; objects says how many there are to be.
func (w *world) check(step, objects int) {
	w.t.Helper()
	if err := w.part.Check(w.t.Context(), w.memory, plain{}.ClusterKey); err != nil {
		w.t.Errorf("step %d: %v", step, err)
	}
	names, err := w.part.Unreferenced(w.t.Context(), w.memory)
	if err != nil || len(names) > 0 {
		w.t.Errorf("step %d: objects that the log does not know: %v, %v", step, names, err)
	}
	n := 0
	_ = w.memory.List(w.t.Context(), "", func(object.Info) error { n++; return nil })
	if n != objects {
		_, packs := w.part.State()
		w.t.Errorf("step %d: %d objects, not %d; packs: %+v", step, n, objects, packs)
	}
}

func (w *world) add(bodies, size int) (ids []uint64) {
	for i := range bodies {
		ids = append(ids, w.part.Add(1, 1, uint32(i+1), bytes.Repeat([]byte{byte(i)}, size)))
	}
	return ids
}

// TestCollectingCrashesAtEachStep packs, expunges, rewrites and deletes, with a leader that crashes one event
// later each time: the next one ends with the same state, and nothing else in the bucket.
func TestCollectingCrashesAtEachStep(t *testing.T) {
	finished, steps, stride := false, 0, 1
	if testing.Short() {
		stride = 7
	}
	for ; !finished; steps += stride {
		if steps > 2000 {
			t.Fatal("the job never ends")
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.policy.Grace = 20 * time.Minute
			ids := w.add(16, 8<<10) // two packs
			c := &crash{Bucket: w.memory}
			c.left.Store(int64(steps))
			w.part.Hook(c.event)
			w.lead(c, func(ctx context.Context, p *packer.Packer, collect func() (gc.Report, error)) {
				short, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				_ = p.Flush(short) // crashes
				for _, id := range ids[:6] {
					w.part.Expunge(id)
				}
				for _, id := range ids[8:14] {
					w.part.Expunge(id)
				}
				_, _ = collect()
				time.Sleep(25 * time.Minute)
				_, _ = collect()
			})
			finished = c.left.Load() > 0
			w.part.Hook(nil)
			w.lead(w.memory, func(ctx context.Context, p *packer.Packer, collect func() (gc.Report, error)) {
				if err := p.Flush(ctx); err != nil {
					t.Errorf("step %d: %v", steps, err)
				}
				time.Sleep(time.Hour)
				w.part.Expunge(ids[15])
				time.Sleep(10 * time.Hour) // what was open is abandoned, what is doomed deleted
			})
			_, packs := w.part.State()
			w.check(steps, len(packs))
			live := 0
			for _, p := range packs {
				live += int(p.LiveBodies)
				if p.State != blobstore.PackWhole || p.LiveBytes < p.DeadBytes {
					t.Errorf("step %d: left %+v", steps, p)
				}
			}
			if live != 3 || len(packs) > 2 {
				t.Errorf("step %d: %d bodies are live in %+v", steps, live, packs)
			}
		})
	}
	if steps < 50 {
		t.Errorf("the leader crashed at %d steps only", steps)
	}
}

func TestObjectsStayForTheGraceTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ids := w.add(8, 8<<10)
		w.lead(w.memory, func(ctx context.Context, p *packer.Packer, collect func() (gc.Report, error)) {
			if err := p.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				w.part.Expunge(id)
			}
			time.Sleep(71 * time.Hour)
			w.check(0, 1)
			time.Sleep(2 * time.Hour)
			w.check(0, 0)
			if _, packs := w.part.State(); len(packs) != 0 {
				t.Errorf("packs: %+v", packs)
			}
		})
	})
}

func TestPackIsNotForgottenWhileItsObjectIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.policy.Grace = -1
		ids := w.add(8, 8<<10)
		fault := object.NewFault(w.memory)
		w.lead(fault, func(ctx context.Context, p *packer.Packer, collect func() (gc.Report, error)) {
			if err := p.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				w.part.Expunge(id)
			}
			fault.Set(object.Faults{ReadOnly: true})
			if r, err := collect(); !errors.Is(err, object.ErrDenied) || r.Deleted != 0 {
				t.Errorf("collected from a store that refuses: %+v, %v", r, err)
			}
			w.check(0, 1)
			fault.Heal()
			if r, err := collect(); err != nil || r.Deleted != 1 || r.Freed < 64<<10 {
				t.Errorf("collected: %+v, %v", r, err)
			}
			w.check(0, 0)
		})
	})
}

func TestSmallPacksAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.policy.Grace = -1
		w.lead(w.memory, func(ctx context.Context, p *packer.Packer, collect func() (gc.Report, error)) {
			for range 8 {
				w.add(1, 4<<10)
				if err := p.Flush(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if r, err := collect(); err != nil || r.Rewritten != 8 || r.Made != 1 {
				t.Errorf("merged: %+v, %v", r, err)
			}
			if r, err := collect(); err != nil || r.Deleted != 8 || r.Rewritten > 0 {
				t.Errorf("afterwards: %+v, %v", r, err)
			}
			if _, packs := w.part.State(); len(packs) != 1 || packs[0].LiveBodies != 8 {
				t.Errorf("packs: %+v", packs)
			}
		})
		if err := w.part.Check(t.Context(), w.memory, plain{}.ClusterKey); err != nil {
			t.Error(err)
		}
	})
}
