package packer_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/blobstore/packertest"
)

var (
	_ packer.Partition = (*packertest.Partition)(nil)
	_ packer.Keys      = (*keys)(nil)
)

// keys is the cluster's keys; current 0 is no encryption.
type keys struct{ current atomic.Uint32 }

func (k *keys) CurrentKey() (pack.ClusterKey, error) {
	current := byte(k.current.Load())
	if current == 0 {
		return pack.ClusterKey{}, nil
	}
	return k.ClusterKey(blobstore.KeyID{current})
}

func (k *keys) ClusterKey(id blobstore.KeyID) (pack.ClusterKey, error) {
	return pack.ClusterKey{ID: id, Secret: [32]byte{id[0], 1, 2, 3}}, nil
}

// world is a partition, a store and whatever fails, in a bubble of synctest.
type world struct {
	t      *testing.T
	keys   *keys
	part   *packertest.Partition
	led    packer.Partition // part, or what stands before it
	memory *object.Memory
	count  *object.Count
	fault  *object.Fault
	config packer.Config
	uid    uint32
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, keys: &keys{}, part: packertest.New(7, time.Now), memory: object.NewMemory()}
	w.led = w.part
	w.fault = object.NewFault(w.memory)
	w.count = object.NewCount(w.fault)
	w.config = packer.Config{
		Bucket: w.count, Keys: w.keys, Cluster: "test", Dir: t.TempDir(),
		Target: 64 << 10, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
	return w
}

// add stages bodies of size octets, of three accounts in turn.
func (w *world) add(bodies, size int) {
	for range bodies {
		w.uid++
		frame := bytes.Repeat([]byte{byte(w.uid), byte(w.uid >> 8), 'x'}, size/3+1)[:size]
		w.part.Add(uint64(w.uid%3)+1, 1, w.uid, frame)
	}
}

// lead runs a leader until stop is called.
func (w *world) lead() (p *packer.Packer, worker *packer.Worker, stop func()) {
	w.t.Helper()
	p, err := packer.New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	worker = p.Worker(w.led)
	done := make(chan struct{})
	go func() {
		defer close(done)
		worker.Run(ctx)
	}()
	return p, worker, func() {
		cancel()
		<-done
	}
}

// check holds state and bucket against each other, and how many bodies are staged.
func (w *world) check(staged int) {
	w.t.Helper()
	if err := w.part.Check(w.t.Context(), w.memory, w.keys.ClusterKey); err != nil {
		w.t.Error(err)
	}
	if _, n := w.part.Bodies(); n != staged {
		w.t.Errorf("%d bodies are staged, not %d", n, staged)
	}
	names, err := w.part.Unreferenced(w.t.Context(), w.memory)
	if err != nil || len(names) > 0 {
		w.t.Errorf("objects that the log does not know: %v, %v", names, err)
	}
}

// states counts the packs by state, as "2 whole 1 doomed".
func (w *world) states() string {
	_, packs := w.part.State()
	var n [4]int
	for _, p := range packs {
		n[p.State]++
	}
	return fmt.Sprintf("%d open %d whole %d doomed", n[blobstore.PackOpen], n[blobstore.PackWhole], n[blobstore.PackDoomed])
}

// inBubble runs fn in a bubble of synctest, where nothing waits for the clock.
func inBubble(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { fn(t, newWorld(t)) })
}

// packs gives the packs in a state.
func (w *world) packs(state blobstore.PackState) (out []blobstore.PackInfo) {
	_, all := w.part.State()
	for _, p := range all {
		if p.State == state {
			out = append(out, p)
		}
	}
	return out
}

// live gives the packs that are whole.
func (w *world) live() []blobstore.PackInfo { return w.packs(blobstore.PackWhole) }
