package load

import (
	"bytes"
	"os"
	"testing"
)

// TestReference writes the same octets on both sides, goes round its files, and leaves nothing behind.
func TestReference(t *testing.T) {
	dir := t.TempDir()
	const size = 1 << 20
	r, err := NewReference(dir, size)
	if err != nil {
		t.Fatal(err)
	}
	times, err := r.Measure(slotsSize/size + 1) // the last one starts over
	if err != nil || len(times) != slotsSize/size+1 {
		t.Fatalf("%d times, %v", len(times), err)
	}
	for _, took := range times {
		if took <= 0 {
			t.Errorf("a commit took %v", took)
		}
	}
	for _, s := range []*slots{r.here, r.there} {
		got := make([]byte, size)
		if _, err := s.file.ReadAt(got, 0); err != nil || !bytes.Equal(got, r.data) || s.next != size {
			t.Errorf("%s: next %d, %v", s.file.Name(), s.next, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := NewReference(dir+"/none", 1); err == nil {
		t.Error("no error without a directory")
	}
}
