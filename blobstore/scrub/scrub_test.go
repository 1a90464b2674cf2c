package scrub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/blobstore/packertest"
	"github.com/rookery-mail/rookery/blobstore/scrub"
)

var _ scrub.Partition = (*packertest.Partition)(nil)

type plain struct{}

func (plain) CurrentKey() (pack.ClusterKey, error) { return pack.ClusterKey{}, nil }

func (plain) ClusterKey(blobstore.KeyID) (pack.ClusterKey, error) {
	return pack.ClusterKey{}, blobstore.ErrNoKey
}

// world is a partition with three packs of four bodies each.
type world struct {
	t      *testing.T
	part   *packertest.Partition
	memory *object.Memory
	count  *object.Count
	fault  *object.Fault
	packs  []blobstore.PackInfo
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, part: packertest.New(5, time.Now), memory: object.NewMemory()}
	w.fault = object.NewFault(w.memory)
	w.count = object.NewCount(w.fault)
	p, err := packer.New(packer.Config{
		Bucket: w.memory, Keys: plain{}, Dir: t.TempDir(), Target: 1 << 20, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	worker := p.Worker(w.part)
	go func() { worker.Run(ctx); close(done) }()
	synctest.Wait()
	for i := range 12 {
		w.part.Add(1, 1, uint32(i+1), bytes.Repeat([]byte{byte(i)}, 1000), []byte("the end"))
		if i%4 == 3 {
			if err := p.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	<-done
	_, w.packs = w.part.State()
	return w
}

// verify gives the findings as text.
func (w *world) verify(rate int64) (scrub.Report, string) {
	w.t.Helper()
	var out strings.Builder
	r, err := scrub.Verify(w.t.Context(), scrub.Config{Bucket: w.count, Keys: plain{}.ClusterKey, Rate: rate}, w.part, func(f scrub.Finding) {
		fmt.Fprintf(&out, "pack %d body %d:", f.Pack, f.Body)
		for _, m := range f.Messages {
			fmt.Fprintf(&out, " %s %s %d", m.Address, m.Mailbox, m.UID)
		}
		problem, _, _ := strings.Cut(f.Problem, f.Object)
		fmt.Fprintf(&out, " %s\n", problem)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r, out.String()
}

func TestVerify(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(w *world)
		bad  int
		want string
	}{
		"all is well": {func(*world) {}, 0, ""},
		"a body is damaged": {func(w *world) { w.flip(1, 1200) }, 1,
			"pack 2 body 6: a1@example.org Box 1 6 its checksum does not fit\n"},
		"a body that nobody uses is damaged": {func(w *world) { w.part.Expunge(6); w.flip(1, 1200) }, 1,
			"pack 2 body 0: pack " + "\n"},
		"an object is lost": {func(w *world) { _ = w.memory.Delete(w.t.Context(), w.packs[2].Object()) }, 1,
			"pack 3 body 9: a1@example.org Box 1 9 \npack 3 body 10: a1@example.org Box 1 10 \n" +
				"pack 3 body 11: a1@example.org Box 1 11 \npack 3 body 12: a1@example.org Box 1 12 \n"},
		"another pack lies there": {func(w *world) { w.put(0, w.get(1)) }, 1,
			"pack 1 body 1: a1@example.org Box 1 1 \npack 1 body 2: a1@example.org Box 1 2 \n" +
				"pack 1 body 3: a1@example.org Box 1 3 \npack 1 body 4: a1@example.org Box 1 4 \n"},
		"one read goes wrong": {func(w *world) { w.fault.Set(object.Faults{CorruptGets: true, After: 3, Times: 1}) }, 0, ""},
		"one body is left":    {func(w *world) { w.part.Expunge(1); w.part.Expunge(2); w.part.Expunge(4) }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.harm(w)
				r, got := w.verify(0)
				if c.want != "" && strings.HasSuffix(c.want, "pack \n") {
					got = got[:min(len(got), len(c.want)-1)] + "\n" // the rest names the pack by its random id
				}
				if got != c.want || r.Bad != c.bad || r.Packs != 3 {
					t.Errorf("%+v\n%s", r, got)
				}
			})
		})
	}
}

func TestReadsEachPackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, _ := w.verify(0)
		var size int64
		for _, p := range w.packs {
			size += int64(p.Size)
		}
		counts := w.count.Counts()
		if r.Octets != size || r.Bodies != 12 || counts.Of(object.KindGet) != 9 || counts.Of(object.KindList) != 0 {
			t.Errorf("%+v of %d octets with %+v", r, size, counts)
		}
	})
}

func TestReadsPartByPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := scrub.Config{Bucket: w.memory, Keys: plain{}.ClusterKey, Rate: 1000, For: time.Second}
		var all scrub.Report
		for more := true; more; more = all.More {
			r, err := scrub.Verify(t.Context(), c, w.part, func(f scrub.Finding) { t.Errorf("found %v", f) })
			if err != nil || r.Packs != 1 {
				t.Fatalf("%+v, %v", r, err)
			}
			all.Add(r)
			all.Last, all.More, c.After = r.Last, r.More, r.Last
		}
		if all.Packs != 3 || all.Bodies != 12 || all.Last != 3 {
			t.Errorf("%+v", all)
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		r, _ := w.verify(1000)
		if took := time.Since(start); took < time.Duration(r.Octets/1000-1)*time.Second {
			t.Errorf("%d octets in %v", r.Octets, took)
		}
	})
}

func TestStoreThatDoesNotAnswerIsNoDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fault.Set(object.Faults{Down: true})
		_, err := scrub.Verify(t.Context(), scrub.Config{Bucket: w.fault}, w.part, func(f scrub.Finding) { t.Errorf("found %+v", f) })
		if !errors.Is(err, blobstore.ErrUnavailable) {
			t.Errorf("error: %v", err)
		}
	})
}

// flip damages an octet of a pack.
func (w *world) flip(i int, offset int64) {
	if !w.memory.Flip(w.packs[i].Object(), offset) {
		w.t.Fatal("nothing was damaged")
	}
}

func (w *world) get(i int) []byte {
	r, err := w.memory.Get(w.t.Context(), w.packs[i].Object(), 0, -1)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	octets, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return octets
}

func (w *world) put(i int, octets []byte) {
	if err := w.memory.Put(w.t.Context(), w.packs[i].Object(), bytes.NewReader(octets), int64(len(octets))); err != nil {
		w.t.Fatal(err)
	}
}
