package objecttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/blobstore/object"
)

func putAndGet(t *testing.T, b object.Bucket) {
	octets := Octets(1, 10_000)
	Put(t, b, "packs/ab/00001/one.pack", octets)
	wants(t, b, "packs/ab/00001/one.pack", octets)
}

func ranges(t *testing.T, b object.Bucket) {
	octets := Octets(2, 100_000)
	Put(t, b, "ranges", octets)
	for _, c := range []struct{ offset, length, end int64 }{
		{0, 1, 1}, {0, 100_000, 100_000}, {99_999, 1, 100_000}, {500, 40_000, 40_500}, {99_990, -1, 100_000}, {7, 0, 7},
	} {
		got, err := GetRange(t.Context(), b, "ranges", c.offset, c.length)
		if err != nil || !bytes.Equal(got, octets[c.offset:c.end]) {
			t.Errorf("octets %d+%d: %d octets, error %v", c.offset, c.length, len(got), err)
		}
	}
	for _, c := range []struct{ offset, length int64 }{{0, 100_001}, {99_999, 2}, {100_000, 1}, {100_000, -1}, {200_000, 5}} {
		got, err := GetRange(t.Context(), b, "ranges", c.offset, c.length)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("octets %d+%d of 100000: %d octets, error %v; want io.ErrUnexpectedEOF", c.offset, c.length, len(got), err)
		}
	}
	for _, c := range []struct{ offset, length int64 }{{-1, 5}, {0, -2}} {
		if _, err := GetRange(t.Context(), b, "ranges", c.offset, c.length); err == nil {
			t.Errorf("octets %d+%d are no range, and there is no error", c.offset, c.length)
		}
	}
	// A reader that is left in the middle.
	r, err := b.Get(t.Context(), "ranges", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func emptyObject(t *testing.T, b object.Bucket) {
	Put(t, b, "empty", nil)
	wants(t, b, "empty", nil)
}

func largeObject(t *testing.T, b object.Bucket) {
	octets := Octets(3, 9<<20+17)
	Put(t, b, "large", octets)
	wants(t, b, "large", octets)
	got, err := GetRange(t.Context(), b, "large", 8<<20, 1<<20)
	if err != nil || !bytes.Equal(got, octets[8<<20:9<<20]) {
		t.Errorf("a range of a large object: %d octets, error %v", len(got), err)
	}
}

func replace(t *testing.T, b object.Bucket) {
	Put(t, b, "same", Octets(4, 5000))
	Put(t, b, "same", Octets(5, 300))
	wants(t, b, "same", Octets(5, 300))
}

// fromTheStart puts what a reader has that was read already.
func fromTheStart(t *testing.T, b object.Bucket) {
	octets := Octets(6, 4000)
	r := bytes.NewReader(octets)
	if _, err := r.Seek(3000, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "start", r, 4000); err != nil {
		t.Fatal(err)
	}
	wants(t, b, "start", octets)
}

// shortReaders puts less, and more, than it said.
func shortReaders(t *testing.T, b object.Bucket) {
	for _, size := range []int64{4001, 3999, -1} {
		if err := b.Put(t.Context(), "short", bytes.NewReader(Octets(7, 4000)), size); err == nil {
			t.Errorf("put 4000 octets as %d: no error", size)
		}
		if _, err := b.Stat(t.Context(), "short"); !errors.Is(err, object.ErrNotFound) {
			t.Errorf("put 4000 octets as %d: stat says %v", size, err)
		}
	}
}

func nothingThere(t *testing.T, b object.Bucket) {
	Put(t, b, "folder/object", []byte("x"))
	for _, name := range []string{"none", "folder", "folder/other", "no/such/folder"} {
		if _, err := Get(t.Context(), b, name); !errors.Is(err, object.ErrNotFound) {
			t.Errorf("get %s: %v", name, err)
		}
		if _, err := b.Get(t.Context(), name, 5, 10); !errors.Is(err, object.ErrNotFound) {
			t.Errorf("get a range of %s: %v", name, err)
		}
		if _, err := b.Stat(t.Context(), name); !errors.Is(err, object.ErrNotFound) {
			t.Errorf("stat %s: %v", name, err)
		}
	}
}

func deleteObject(t *testing.T, b object.Bucket) {
	Put(t, b, "gone/a", []byte("a"))
	Put(t, b, "gone/b", []byte("b"))
	for _, name := range []string{"gone/a", "gone/a", "never/there"} {
		if err := b.Delete(t.Context(), name); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	if _, err := Get(t.Context(), b, "gone/a"); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("a deleted object: %v", err)
	}
	if names := Names(t, b, ""); !slices.Equal(names, []string{"gone/b"}) {
		t.Errorf("what is left: %q", names)
	}
	Put(t, b, "gone/a", []byte("again"))
	wants(t, b, "gone/a", []byte("again"))
}

func list(t *testing.T, b object.Bucket) {
	if names := Names(t, b, ""); len(names) != 0 {
		t.Errorf("an empty store has %q", names)
	}
	all := []string{"a-b", "a.b", "a/b", "a/c/d", "ab", "packs/00/1.pack", "packs/00/2.pack", "packs/0a/3.pack", "z"}
	for i, name := range all {
		Put(t, b, name, Octets(8, i))
	}
	for _, prefix := range []string{"", "a", "a/", "a/c", "packs", "packs/", "packs/0", "packs/00/", "packs/00/1.pack", "q", "q/r", "packs/00/1.pack/x"} {
		var want []string
		for _, name := range all {
			if strings.HasPrefix(name, prefix) {
				want = append(want, name)
			}
		}
		if names := Names(t, b, prefix); !slices.Equal(names, want) {
			t.Errorf("list %q: %q, want %q", prefix, names, want)
		}
	}
	err := b.List(t.Context(), "a/c", func(i object.Info) error {
		if i.Size != 3 || i.Modified.IsZero() {
			t.Errorf("listed as %+v, want 3 octets", i)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func listStops(t *testing.T, b object.Bucket) {
	for _, name := range []string{"one", "three", "two"} {
		Put(t, b, name, nil)
	}
	enough, calls := errors.New("enough"), 0
	err := b.List(t.Context(), "", func(object.Info) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%d calls, error %v", calls, err)
	}
}

func names(t *testing.T, b object.Bucket) {
	for _, name := range []string{"", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "a b", "ä", "a\x00", strings.Repeat("a", 513)} {
		if err := b.Put(t.Context(), name, strings.NewReader("x"), 1); err == nil {
			t.Errorf("put %q: no error", name)
		}
	}
	long := strings.Repeat(strings.Repeat("n", 126)+"/", 4)
	Put(t, b, long[:len(long)-1], []byte("x"))
	wants(t, b, long[:len(long)-1], []byte("x"))
}

func contexts(t *testing.T, b object.Bucket) {
	Put(t, b, "there", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, get := Get(ctx, b, "there")
	_, stat := b.Stat(ctx, "there")
	for what, err := range map[string]error{
		"put": b.Put(ctx, "new", strings.NewReader("x"), 1), "get": get, "stat": stat, "delete": b.Delete(ctx, "there"),
		"list": b.List(ctx, "", func(object.Info) error { return nil }),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that has ended: %v", what, err)
		}
	}
	wants(t, b, "there", []byte("x"))
}
