package state

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
)

var update = flag.Bool("update", false, "rewrite golden files")

func clusterIndex(i int) cluster.LogIndex { return cluster.LogIndex(i) }

func clusterGroup(i int) cluster.GroupID { return cluster.GroupID(i) }

// sample is a stream of a few keys.
func sample(t testing.TB) []byte {
	d := openClosed(t)
	put(t, d.Group(3), 0x0102, "a", "1", "bcd", "", "e", "some value")
	return export(t, d.Group(3))
}

func TestStreamGolden(t *testing.T) {
	got := []byte(hex.Dump(sample(t)))
	const path = "testdata/stream.v1.hex"
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the stream's bytes changed:\n%s\nwant\n%s", got, want)
	}
}

// TestDamagedStreamIsRefused cuts the stream at every length and flips every byte: nothing but the
// whole stream is taken, and the state stays.
func TestDamagedStreamIsRefused(t *testing.T) {
	stream := sample(t)
	d := openClosed(t)
	put(t, d.Group(3), 1, "kept", "yes")
	refused := func(b []byte, what string, at int) {
		t.Helper()
		if err := d.Group(3).Import(context.Background(), bytes.NewReader(b)); !errors.Is(err, ErrStream) {
			t.Errorf("%s at %d: import: %v", what, at, err)
		}
	}
	for n := range stream {
		refused(stream[:n], "cut", n)
		flipped := bytes.Clone(stream)
		flipped[n] ^= 0x40
		refused(flipped, "flipped", n)
	}
	if err := d.Group(4).Import(context.Background(), bytes.NewReader(stream)); !errors.Is(err, ErrStream) {
		t.Errorf("the stream of another group: %v", err)
	}
	if got := view(t, d.Group(3)); got != "kept=yes " {
		t.Errorf("the state became %q", got)
	}
	if names, _ := d.fs.List("/state"); bytes.Contains([]byte(joined(names)), []byte(importPrefix)) {
		t.Errorf("left behind: %v", names)
	}
	if _, err := Verify(bytes.NewReader(stream)); err != nil {
		t.Errorf("the whole stream: %v", err)
	}
}

func joined(names []string) (all string) {
	for _, n := range names {
		all += n + " "
	}
	return all
}

func FuzzVerify(f *testing.F) {
	stream := sample(f)
	f.Add(stream)
	f.Add(stream[:headerSize])
	f.Add(appendEnd(appendHeader(nil, Header{Group: 1, Applied: 5}), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Verify(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrStream) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if !bytes.HasPrefix(b, appendHeader(nil, h)) {
			t.Errorf("a verified stream does not begin with its header")
		}
	})
}
