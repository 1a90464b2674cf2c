package uidset

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/index"
)

// model is the set as a map, which cannot be wrong.
type model map[index.UID]bool

func (m model) sorted() []index.UID { return slices.Sorted(maps.Keys(m)) }

func check(t *rapid.T, s *Set, m model) {
	want := m.sorted()
	got := slices.Collect(s.All())
	if !slices.Equal(got, want) || s.Len() != len(want) {
		t.Fatalf("members %v (Len %d), want %v", got, s.Len(), want)
	}
	var flat []index.UID
	last := index.UID(0)
	for r := range s.Ranges() {
		if last != 0 && r.Lo <= last+1 {
			t.Fatalf("range %v follows %d: not the fewest", r, last)
		}
		for u := r.Lo; u <= r.Hi; u++ {
			flat = append(flat, u)
		}
		last = r.Hi
	}
	if !slices.Equal(flat, want) {
		t.Fatalf("ranges give %v, want %v", flat, want)
	}
	for i, u := range want {
		if at, ok := s.At(i + 1); !ok || at != u || s.Rank(u) != i+1 || !s.Contains(u) {
			t.Fatalf("At(%d) = %d, %v; Rank(%d) = %d", i+1, at, ok, u, s.Rank(u))
		}
	}
	if _, ok := s.At(len(want) + 1); ok {
		t.Fatal("At beyond the end")
	}
	var lo, hi index.UID
	if len(want) > 0 {
		lo, hi = want[0], want[len(want)-1]
	}
	if s.Min() != lo || s.Max() != hi {
		t.Fatalf("Min %d Max %d, want %d %d", s.Min(), s.Max(), lo, hi)
	}
	for _, sl := range s.slots {
		if sl.count == 0 || (sl.bits == nil) != (sl.count == BlockSize) {
			t.Fatalf("slot %d breaks the invariant", sl.number)
		}
	}
}

func drawUID(t *rapid.T) index.UID {
	base := rapid.SampledFrom([]uint32{0, 4090, 8190, 1 << 20}).Draw(t, "base")
	return index.UID(base + rapid.Uint32Range(0, 12).Draw(t, "offset"))
}

func TestSetAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sets, models := []*Set{New()}, []model{{}}
		pick := func() int { return rapid.IntRange(0, len(sets)-1).Draw(t, "set") }
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			i := pick()
			lo := drawUID(t)
			hi := lo + index.UID(rapid.SampledFrom([]uint32{0, 1, 7, 4096, 5000}).Draw(t, "length"))
			switch rapid.SampledFrom([]string{"add", "remove", "clone", "union", "subtract", "intersect"}).Draw(t, "op") {
			case "add":
				sets[i].AddRange(lo, hi)
				for u := max(lo, 1); u <= hi; u++ {
					models[i][u] = true
				}
			case "remove":
				sets[i].RemoveRange(lo, hi)
				for u := lo; u <= hi; u++ {
					delete(models[i], u)
				}
			case "clone":
				sets, models = append(sets, sets[i].Clone()), append(models, maps.Clone(models[i]))
			case "union":
				j := pick()
				sets[i].Union(sets[j])
				maps.Copy(models[i], maps.Clone(models[j]))
			case "subtract":
				j := pick()
				gone := maps.Clone(models[j])
				sets[i].Subtract(sets[j].Clone())
				maps.DeleteFunc(models[i], func(u index.UID, _ bool) bool { return gone[u] })
			case "intersect":
				j := pick()
				sets = append(sets, sets[i].Intersect(sets[j]))
				both := model{}
				for u := range models[i] {
					if models[j][u] {
						both[u] = true
					}
				}
				models = append(models, both)
			}
		}
		for i := range sets {
			check(t, sets[i], models[i])
			stored := New()
			for n := range uint32(4) {
				if b := sets[i].Block(n); !b.Empty() {
					if err := stored.PutEncoded(n, EncodeBlock(nil, &b)); err != nil {
						t.Fatal(err)
					}
				}
			}
			low := maps.Clone(models[i])
			maps.DeleteFunc(low, func(u index.UID, _ bool) bool { return u >= 4*BlockSize })
			check(t, stored, low)
			for n := range uint32(4) {
				b := sets[i].Block(n)
				back, err := DecodeBlock(EncodeBlock(nil, &b))
				if err != nil || back != b {
					t.Fatalf("block %d does not come back: %v", n, err)
				}
			}
		}
	})
}

func TestHighestUIDs(t *testing.T) {
	s := Of(index.UIDRange{Lo: math.MaxUint32 - 1, Hi: math.MaxUint32})
	if s.Len() != 2 || s.Max() != math.MaxUint32 {
		t.Fatalf("Len %d Max %d", s.Len(), s.Max())
	}
	s.RemoveRange(0, math.MaxUint32)
	if s.Len() != 0 || len(s.slots) != 0 {
		t.Fatalf("Len %d after all were removed", s.Len())
	}
	s.Add(0)
	if s.Len() != 0 {
		t.Fatal("UID 0 became a member")
	}
}

func TestBlockBytes(t *testing.T) {
	var sparse, dense, alternating Block
	sparse.Add(5)
	dense.setRange(0, BlockSize-1)
	for u := index.UID(1); u < BlockSize; u += 2 {
		alternating.Add(u)
	}
	for _, c := range []struct {
		name  string
		block *Block
		want  []byte
	}{
		{"none", new(Block), []byte{1}},
		{"one", &sparse, []byte{1, 5, 1}},
		{"full", &dense, []byte{1, 0, 0x80, 0x20}},
		{"every second", &alternating, append([]byte{2}, bytes.Repeat([]byte{0xaa}, 512)...)},
	} {
		if got := EncodeBlock(nil, c.block); !bytes.Equal(got, c.want) {
			t.Errorf("%s: % x, want % x", c.name, got, c.want)
		}
	}
}

func FuzzDecodeBlock(f *testing.F) {
	f.Add([]byte{1, 5, 1})
	f.Add([]byte{1, 0, 0x80, 0x20})
	f.Add(append([]byte{2}, make([]byte, 512)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := DecodeBlock(data)
		if err != nil {
			return
		}
		if back, err := DecodeBlock(EncodeBlock(nil, &b)); err != nil || back != b {
			t.Fatalf("%x does not come back: %v", data, err)
		}
	})
}

func BenchmarkMillion(b *testing.B) {
	s := Of(index.UIDRange{Lo: 1, Hi: 1_000_000})
	b.Run("Rank", func(b *testing.B) {
		for b.Loop() {
			s.Rank(999_999)
		}
	})
	b.Run("Clone", func(b *testing.B) {
		for b.Loop() {
			s.Clone()
		}
	})
}
