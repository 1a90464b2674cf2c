package state

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestLargeBatch: a follower that catches up applies 64 entries of 512 KiB at once, which is more than a
// memtable holds; what follows overwrites it, and all of it is there after a flush and a start.
func TestLargeBatch(t *testing.T) {
	const entries, size = 64, 512 << 10
	fs := vfs.NewMem()
	d := open(t, fs)
	g := d.Group(3)
	put(t, g, 1, "\x10k00", "before")
	b := g.NewBatch()
	for i := range entries {
		if err := b.Set(fmt.Appendf(nil, "\x10k%02d", i), bytes.Repeat([]byte{byte(i)}, size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(clusterIndex(2)); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, g, 3, "\x10k01", "after")
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, fs)
	defer d.Close()
	view := d.Group(3).Snapshot()
	defer view.Close()
	for i := range entries {
		want := bytes.Repeat([]byte{byte(i)}, size)
		if i == 1 {
			want = []byte("after")
		}
		got, ok, err := view.Get(fmt.Appendf(nil, "\x10k%02d", i))
		if err != nil || !ok || !bytes.Equal(got, want) {
			t.Fatalf("key %d: %d bytes, %v, %v; want %d", i, len(got), ok, err, len(want))
		}
	}
}
