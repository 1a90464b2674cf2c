package packer_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
)

var errCrash = errors.New("the leader crashed")

// crash lets so many events go by and then fails every one: each call of the partition and of the store is
// two events, before it happens and after.
type crash struct {
	left atomic.Int64
	object.Bucket
}

func (c *crash) event(string, bool) error {
	if c.left.Add(-1) < 0 {
		return errCrash
	}
	return nil
}

func (c *crash) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	if err := c.event("Put", false); err != nil {
		return err
	}
	return errors.Join(c.Bucket.Put(ctx, name, r, size), c.event("Put", true))
}

func (c *crash) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := c.event("Get", false); err != nil {
		return nil, err
	}
	return c.Bucket.Get(ctx, name, offset, length)
}

// crashAtEachStep runs job on a new world again and again, with a leader that crashes one event later each
// time, and says what a second leader makes of it.
func crashAtEachStep(t *testing.T, prepare func(w *world), job func(w *world), then func(w *world, step int)) {
	finished, stride := false, 1
	if testing.Short() {
		stride = 7
	}
	for step := 0; !finished; step += stride {
		if step > 2000 {
			t.Fatal("the job never ends")
		}
		inBubble(t, func(t *testing.T, w *world) {
			prepare(w)
			c := &crash{Bucket: w.count}
			c.left.Store(int64(step))
			w.config.Bucket = c
			w.part.Hook(c.event)
			job(w)
			w.part.Hook(nil)
			finished = c.left.Load() > 0
			w.config.Bucket = w.count
			then(w, step)
		})
	}
}

func TestPackingCrashesAtEachStep(t *testing.T) {
	crashAtEachStep(t, func(w *world) { w.add(3, 30<<10) }, func(w *world) {
		_, _, stop := w.lead()
		time.Sleep(15 * time.Second)
		stop()
	}, func(w *world, step int) {
		w.add(1, 70<<10)
		_, _, stop := w.lead()
		defer stop()
		time.Sleep(time.Minute)
		w.check(0)
		time.Sleep(10 * time.Hour) // a pack that cannot be finished is abandoned
		w.check(0)
		if _, packs := w.part.State(); len(packs) > 4 {
			t.Errorf("step %d: %d packs", step, len(packs))
		}
		for _, p := range w.packs(blobstore.PackOpen) {
			t.Errorf("step %d: pack %d is still open", step, p.Number)
		}
	})
}

func TestRewritingCrashesAtEachStep(t *testing.T) {
	crashAtEachStep(t, func(w *world) {
		w.add(6, 30<<10)
		_, _, stop := w.lead()
		time.Sleep(time.Minute)
		w.part.Expunge(2)
		w.part.Expunge(5)
		stop()
	}, func(w *world) {
		_, worker, stop := w.lead()
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		_, _ = worker.Rewrite(ctx, w.live()) // crashes
		stop()
	}, func(w *world, step int) {
		_, worker, stop := w.lead()
		defer stop()
		time.Sleep(time.Minute)
		w.check(0)
		if _, err := worker.Rewrite(w.t.Context(), w.live()); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
		w.check(0)
		time.Sleep(10 * time.Hour)
		w.check(0)
		live := w.live()
		if len(live) != 1 || live[0].LiveBodies != 4 || len(w.packs(blobstore.PackOpen)) > 0 {
			t.Errorf("step %d: live %+v, %s", step, live, w.states())
		}
	})
}

func TestHomingCrashesAtEachStep(t *testing.T) {
	crashAtEachStep(t, func(w *world) {
		w.add(5, 30<<10)
		w.part.Add(9, 1, 1, make([]byte, 100<<10), make([]byte, 120<<10), make([]byte, 3)) // three chunks
		_, _, stop := w.lead()
		time.Sleep(time.Minute)
		stop()
		if err := w.part.SetMode(w.t.Context(), false); err != nil {
			w.t.Fatal(err)
		}
	}, func(w *world) {
		_, _, stop := w.lead()
		time.Sleep(15 * time.Second)
		stop()
	}, func(w *world, step int) {
		_, _, stop := w.lead()
		defer stop()
		time.Sleep(time.Minute)
		if mode, _ := w.part.State(); mode != blobstore.Embedded {
			t.Errorf("step %d: %v, %s", step, mode, w.states())
		}
		w.check(6)
	})
}

func TestPackWithoutItsObjectIsAbandonedByAge(t *testing.T) {
	for name, octets := range map[string]string{"missing": "", "damaged": strings.Repeat("what a store makes of it ", 100)} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				ref := blobstore.Pack{Group: 7, ID: blobstore.PackID{1}}
				if _, err := w.part.Begin(t.Context(), ref); err != nil {
					t.Fatal(err)
				}
				if octets != "" {
					if err := w.memory.Put(t.Context(), ref.Object(), strings.NewReader(octets), int64(len(octets))); err != nil {
						t.Fatal(err)
					}
				}
				_, _, stop := w.lead()
				defer stop()
				time.Sleep(50 * time.Minute)
				if got := w.states(); got != "1 open 0 whole 0 doomed" {
					t.Errorf("packs: %s", got)
				}
				time.Sleep(time.Hour)
				if got := w.states(); got != "0 open 0 whole 1 doomed" {
					t.Errorf("packs: %s", got)
				}
			})
		})
	}
}
