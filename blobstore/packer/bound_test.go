package packer_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/blobstore/packertest"
)

// busy is a store that counts how many objects are being put at once.
type busy struct {
	object.Bucket
	mu        sync.Mutex // guards those below
	now, most int
}

func (b *busy) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	b.add(1)
	defer b.add(-1)
	return b.Bucket.Put(ctx, name, r, size)
}

func (b *busy) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now += n
	b.most = max(b.most, b.now)
}

func TestTwoPacksAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fault.Set(object.Faults{Slow: 10 * time.Second})
		b := &busy{Bucket: w.fault}
		w.config.Bucket = b
		p, err := packer.New(w.config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var parts []*packertest.Partition
		for i := range 5 {
			part := packertest.New(uint16(i+1), time.Now)
			part.Add(1, 1, 1, make([]byte, 100<<10))
			parts = append(parts, part)
			running.Go(func() { p.Worker(part).Run(ctx) })
		}
		synctest.Wait()
		if got := p.Status(); len(got) != 5 || got[0].Group != 1 || got[4].Group != 5 {
			t.Errorf("status: %+v", got)
		}
		time.Sleep(5 * time.Minute)
		for i, part := range parts {
			if _, staged := part.Bodies(); staged != 0 {
				t.Errorf("partition %d is not packed", i+1)
			}
		}
		cancel()
		running.Wait()
		if b.most != 2 {
			t.Errorf("%d packs were put at once", b.most)
		}
		if len(p.Status()) != 0 {
			t.Error("partitions that nobody packs for are listed")
		}
	})
}

// weighing is a partition that measures what is alive in memory while it is packed.
type weighing struct {
	*packertest.Partition
	mu     sync.Mutex // guards those below
	frames int
	most   uint64
}

func (w *weighing) Frame(ctx context.Context, body uint64, chunk uint32) ([]byte, error) {
	w.mu.Lock()
	if w.frames++; w.frames%256 == 0 {
		w.most = max(w.most, alive())
	}
	w.mu.Unlock()
	return w.Partition.Frame(ctx, body, chunk)
}

func alive() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryDoesNotGrowWithPacks packs 16 MiB in each of two partitions at once, of messages of 4 KiB.
func TestMemoryDoesNotGrowWithPacks(t *testing.T) {
	if testing.Short() {
		t.Skip("packs 32 MiB")
	}
	bucket, err := object.OpenFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const size = 16 << 20
	p, err := packer.New(packer.Config{
		Bucket: bucket, Keys: &keys{}, Dir: t.TempDir(), Target: size, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	frame := bytes.Repeat([]byte("0123456789abcdef"), 256) // one for all bodies: what is staged is not in memory
	var parts []*weighing
	for i := range 2 {
		part := &weighing{Partition: packertest.New(uint16(i+1), time.Now)}
		for n := range size / len(frame) {
			part.Add(uint64(n%50), 1, uint32(n+1), frame)
		}
		parts = append(parts, part)
	}
	before := alive()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var workers []*packer.Worker
	for _, part := range parts {
		w := p.Worker(part)
		workers = append(workers, w)
		running.Go(func() { w.Run(ctx) })
	}
	for _, w := range workers {
		if err := w.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	running.Wait()
	for _, part := range parts {
		if _, staged := part.Bodies(); staged != 0 || part.frames != size/len(frame) {
			t.Errorf("%d bodies are staged, %d frames were read", staged, part.frames)
		}
		// Manifests and places of 8,192 bodies, buffers: some 5 MiB, against 32 MiB of packs.
		if grown := int64(part.most) - int64(before); grown > 14<<20 {
			t.Errorf("%d KiB more are alive while packing", grown>>10)
		} else {
			t.Logf("%d KiB more are alive while packing", grown>>10)
		}
	}
}
