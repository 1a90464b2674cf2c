package packer_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/packertest"
)

func TestPacksBySizeThenByAge(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add(100, 1<<10) // 64 fill a pack
		_, worker, stop := w.lead()
		defer stop()
		time.Sleep(time.Minute)
		w.check(36)
		if got := w.states(); got != "0 open 1 whole 0 doomed" {
			t.Errorf("packs: %s", got)
		}
		time.Sleep(23 * time.Hour)
		w.check(36)
		time.Sleep(time.Hour)
		w.check(0)
		s := worker.Status()
		if s.Packs != 2 || s.Bodies != 100 || s.Err != "" {
			t.Errorf("status: %+v", s)
		}
		if c := w.count.Counts(); c.Of(object.KindPut) != 2 || c.Of(object.KindGet) != 2 || c.Of(object.KindList) != 0 {
			t.Errorf("requests: %+v", c)
		}
	})
}

func TestAgeWaitsAgainUnderSteadyMail(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		_, worker, stop := w.lead()
		defer stop()
		for range 3 * 24 * 6 { // three days, a small message each ten minutes
			w.add(1, 100)
			time.Sleep(10 * time.Minute)
		}
		if s := worker.Status(); s.Packs < 2 || s.Packs > 3 {
			t.Errorf("%d packs in three days", s.Packs)
		}
	})
}

func TestFlush(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add(200, 1<<10)
		p, _, stop := w.lead()
		defer stop()
		synctest.Wait()
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check(0)
		if got := w.states(); got != "0 open 4 whole 0 doomed" {
			t.Errorf("packs: %s", got)
		}
		if err := p.Flush(t.Context()); err != nil { // nothing to do
			t.Fatal(err)
		}
		w.fault.Set(object.Faults{Down: true})
		w.add(1, 100)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Flush(ctx); err == nil {
			t.Error("flushed into a store that is down")
		}
		w.check(1)
	})
}

func TestEndsUnansweredFlush(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fault.Set(object.Faults{Down: true})
		w.add(1, 100)
		p, _, stop := w.lead()
		synctest.Wait()
		failed := make(chan error, 1)
		go func() { failed <- p.Flush(context.WithoutCancel(t.Context())) }()
		time.Sleep(time.Minute)
		stop()
		if err := <-failed; err == nil {
			t.Error("flushed by a leader that is no more")
		}
	})
}

// TestOutages holds that whatever a store does, staged bodies stay until an object is there and right, and
// all drains by itself when the store is well again.
func TestOutages(t *testing.T) {
	for name, faults := range map[string]object.Faults{
		"down":       {Down: true},
		"throttling": {SlowDown: true},
		"read-only":  {ReadOnly: true},
		"no reads":   {Deny: []object.Kind{object.KindGet}},
		"loses":      {LosePuts: true},
		"truncates":  {TruncatePuts: true},
		"corrupts":   {CorruptGets: true},
		"breaks":     {BreakGets: true},
		"hangs":      {Slow: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.fault.Set(faults)
				w.add(200, 1<<10)
				_, worker, stop := w.lead()
				defer stop()
				time.Sleep(time.Hour)
				if _, staged := w.part.Bodies(); staged != 200 {
					t.Errorf("%d bodies are staged while the store is broken", staged)
				}
				s := worker.Status()
				if s.Err == "" || time.Since(s.Since) < 40*time.Minute {
					t.Errorf("status: %+v", s)
				}
				if n := w.count.Counts().Of(object.KindPut); n < 5 || n > 400 {
					t.Errorf("%d PUTs in an hour", n)
				}
				w.fault.Heal()
				time.Sleep(20 * time.Minute)
				w.check(200 - 3*64)
				if s := worker.Status(); s.Err != "" {
					t.Errorf("status: %+v", s)
				}
			})
		})
	}
}

func TestSlowStoreIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fault.Set(object.Faults{Slow: 10 * time.Second})
		w.add(64, 1<<10)
		_, worker, stop := w.lead()
		defer stop()
		time.Sleep(time.Minute)
		w.check(0)
		if s := worker.Status(); s.Err != "" || s.Rate == 0 {
			t.Errorf("status: %+v", s)
		}
	})
}

func TestOutageMakesNoHeapOfPacks(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fault.Set(object.Faults{Down: true})
		w.add(640, 1<<10)
		_, _, stop := w.lead()
		defer stop()
		time.Sleep(48 * time.Hour)
		if got := w.states(); got != "1 open 0 whole 0 doomed" {
			t.Errorf("packs: %s", got)
		}
	})
}

// vanishing is a partition whose body 10 is expunged when its frame is asked for.
type vanishing struct{ *packertest.Partition }

func (v vanishing) Frame(ctx context.Context, body uint64, chunk uint32) ([]byte, error) {
	if body == 10 {
		v.Expunge(10)
	}
	return v.Partition.Frame(ctx, body, chunk)
}

func TestBodyThatGoesWhileItIsPacked(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add(64, 1<<10)
		w.led = vanishing{w.part}
		_, worker, stop := w.lead()
		defer stop()
		time.Sleep(time.Minute)
		w.check(0)
		if s := worker.Status(); s.Packs != 1 || s.Bodies != 63 || s.Err != "" {
			t.Errorf("status: %+v", s)
		}
	})
}

// uploading is a partition that much is being uploaded to.
type uploading struct{ *packertest.Partition }

func (u uploading) Status(ctx context.Context) (blobstore.Backlog, error) {
	b, err := u.Partition.Status(ctx)
	b.Bytes += 1 << 30
	return b, err
}

func TestUploadsMakeNoSmallPacks(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.led = uploading{w.part}
		_, _, stop := w.lead()
		defer stop()
		for range 10 {
			w.add(4, 1<<10)
			time.Sleep(time.Minute)
		}
		w.check(8) // a pack when half a pack is staged, and not each time
		if got := w.states(); got != "0 open 1 whole 0 doomed" {
			t.Errorf("packs: %s", got)
		}
		time.Sleep(25 * time.Hour)
		w.check(0)
	})
}

func TestErrorOfTheLogIsForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.part.Hook(func(string, bool) error { return errCrash })
		_, worker, stop := w.lead()
		defer stop()
		time.Sleep(time.Minute)
		if s := worker.Status(); s.Err == "" || time.Since(s.Since) < 50*time.Second {
			t.Errorf("status: %+v", s)
		}
		w.part.Hook(nil)
		time.Sleep(time.Minute)
		if s := worker.Status(); s.Err != "" || !s.Since.IsZero() {
			t.Errorf("status: %+v", s)
		}
	})
}

func TestListsUsersFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		if err := w.part.SetMode(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		w.add(64, 1<<10)
		_, _, stop := w.lead()
		defer stop()
		time.Sleep(time.Minute)
		w.check(0)
		if w.part.Calls("ListUsers") != 1 {
			t.Error("users were not listed")
		}
	})
}

func TestEncryptionAndRotation(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.keys.current.Store(1)
		w.add(64, 1<<10)
		_, worker, stop := w.lead()
		defer stop()
		time.Sleep(time.Minute)
		w.keys.current.Store(2)
		w.add(64, 1<<10)
		time.Sleep(time.Minute)
		w.check(0)
		_, packs := w.part.State()
		if len(packs) != 2 || packs[0].Key != (blobstore.KeyID{1}) || packs[1].Key != (blobstore.KeyID{2}) {
			t.Fatalf("packs: %+v", packs)
		}
		if _, err := worker.Rewrite(t.Context(), packs[:1]); err != nil {
			t.Fatal(err)
		}
		w.check(0)
		for _, p := range w.live() {
			if p.Key != (blobstore.KeyID{2}) {
				t.Errorf("pack %d is under key %x", p.Number, p.Key)
			}
		}
		w.keys.current.Store(0)
		if _, err := worker.Rewrite(t.Context(), w.live()); err != nil {
			t.Fatal(err)
		}
		w.check(0)
		if live := w.live(); len(live) != 1 || live[0].Key != (blobstore.KeyID{}) || live[0].LiveBodies != 128 {
			t.Errorf("live: %+v", live)
		}
	})
}

func TestRewriteLeavesWhatIsDamaged(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add(64, 1<<10)
		_, worker, stop := w.lead()
		defer stop()
		time.Sleep(time.Minute)
		live := w.live()
		if !w.memory.Flip(live[0].Object(), 5000) {
			t.Fatal("nothing was damaged")
		}
		_, err := worker.Rewrite(t.Context(), live)
		if err == nil || !strings.Contains(err.Error(), "body ") {
			t.Errorf("rewriting a damaged pack: %v", err)
		}
		after := w.live()
		if len(after) != 2 || after[0].LiveBodies != 1 || after[1].LiveBodies != 63 {
			t.Errorf("live: %+v", after)
		}
		if s := worker.Status(); s.Err == "" {
			t.Error("the status says nothing")
		}
	})
}
