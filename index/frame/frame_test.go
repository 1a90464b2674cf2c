package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

const golden = "testdata/frames.txt"

// sample is what the frames of testdata hold, which were written once and stay readable.
var sample = strings.Repeat("From: Ada <ada@example.org>\r\nSubject: the engine\r\n", 3) + "\r\nIt weaves algebraical patterns.\r\n"

func TestGolden(t *testing.T) {
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	c, seen := New(), 0
	for line := range strings.Lines(string(text)) {
		var form, digits string
		if _, err := fmt.Sscan(line, &form, &digits); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		frame, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Octets(nil, frame)
		if err != nil || string(got) != sample {
			t.Errorf("%s: %q, %v", form, got, err)
		}
		seen++
	}
	if seen != 2 {
		t.Errorf("%d forms in %s, there are 2", seen, golden)
	}
}

// octetsOf are texts, noise and zeros of a length.
func octetsOf(n int) [][]byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	noise := make([]byte, n)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	return [][]byte{bytes.Repeat([]byte(sample), n/len(sample)+1)[:n], noise, make([]byte, n)}
}

func TestRoundTrip(t *testing.T) {
	c := New()
	room := []byte("what was there before")
	for _, n := range []int{1, 2, 100, 4 << 10, 8 << 10, 8<<10 + 1, MaxOctets} {
		for i, octets := range octetsOf(n) {
			for form, frame := range map[string][]byte{"zstd": c.Compress(octets), "short": c.CompressShort(octets)} {
				got, err := c.Octets(room, frame)
				if err != nil || !bytes.Equal(got, octets) {
					t.Errorf("%s of %d octets, sort %d: %d octets back, %v", form, n, i, len(got), err)
				}
			}
		}
	}
}

// TestDamage: whichever bit of a frame turns, the octets do not come back as others.
func TestDamage(t *testing.T) {
	c := New()
	for form, frame := range map[string][]byte{"zstd": c.Compress([]byte(sample)), "short": c.CompressShort([]byte(sample))} {
		for bit := range len(frame) * 8 {
			frame[bit/8] ^= 1 << (bit % 8)
			got, err := c.Octets(nil, frame)
			if err == nil && string(got) != sample || err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s with bit %d turned: %q, %v", form, bit, got, err)
			}
			frame[bit/8] ^= 1 << (bit % 8)
		}
		if _, err := c.Octets(nil, frame[:len(frame)-1]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s cut short: %v", form, err)
		}
	}
	for _, bad := range [][]byte{nil, {formShort}, {formShort, 0, 0, 0, 0}, {0}, []byte("no frame")} {
		if _, err := c.Octets(nil, bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%x: %v", bad, err)
		}
	}
	huge := []byte{formShort, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0}
	if _, err := c.Octets(nil, huge); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a chunk of 256 MiB: %v", err)
	}
}

func FuzzOctets(f *testing.F) {
	c := New()
	f.Add(c.Compress([]byte(sample)))
	f.Add(c.CompressShort([]byte(sample)))
	f.Add([]byte{formShort, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, frame []byte) {
		octets, err := c.Octets(nil, frame)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if len(octets) > MaxOctets {
			return // a zstd frame may hold more; who reads bodies compares sizes
		}
		if again, err := c.Octets(nil, c.CompressShort(octets)); err != nil || !bytes.Equal(again, octets) {
			t.Errorf("%d octets came back as %d, %v", len(octets), len(again), err)
		}
	})
}
