package spool_test

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/rookery-mail/rookery/mta/spool"
)

// TestText: what was written is read, below and above what is held in memory, from anywhere in it, and no file is left behind.
func TestText(t *testing.T) {
	for _, size := range []int{0, 1, 99, 100, 101, 1000} {
		dir := t.TempDir()
		text := spool.Config{Dir: dir, Memory: 100}.New()
		want := bytes.Repeat([]byte("abcdefghij"), 100)[:size]
		for rest := want; len(rest) > 0; {
			n := min(7, len(rest))
			if _, err := text.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		for range 2 {
			got, err := io.ReadAll(text.Reader())
			if err != nil || !bytes.Equal(got, want) || text.Size() != int64(size) {
				t.Errorf("%d octets: read %d, %v", size, len(got), err)
			}
		}
		if size > 50 {
			part := make([]byte, 20)
			if n, err := text.ReadAt(part, 45); err != nil || n != 20 || !bytes.Equal(part, want[45:65]) {
				t.Errorf("%d octets: a part of %d, %v", size, n, err)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%d octets: files %v, %v", size, left, err)
		}
		text.Discard()
		text.Discard()
		if _, err := text.ReadAt(make([]byte, 1), 0); err == nil {
			t.Error("a discarded text is read")
		}
		if _, err := text.Write([]byte("x")); err == nil {
			t.Error("a discarded text is written to")
		}
	}
}

// TestNoRoom: a text that has no place for its file says so, and keeps to it.
func TestNoRoom(t *testing.T) {
	text := spool.Config{Dir: t.TempDir() + "/gone", Memory: 10}.New()
	if _, err := text.Write(make([]byte, 11)); err == nil {
		t.Error("a text without a place is written")
	}
	if _, err := text.Write(make([]byte, 1)); err == nil {
		t.Error("a text goes on after an error")
	}
	text.Discard()
}
