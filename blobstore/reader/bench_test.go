package reader_test

import (
	"runtime"
	"testing"

	"github.com/rookery-mail/rookery/blobstore/reader"
)

// TestMemory: what is held does not grow with what is read.
func TestMemory(t *testing.T) {
	s := newStore()
	p := s.put(t, 1, 128, 128<<10, nil) // a body of 16 MiB, in its chunks
	r := s.open(t, func(c *reader.Config) { c.Bytes = 16 << 20 })
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := held()
	for i := range p.refs {
		if i%16 == 1 {
			r.Ahead(p.refs[i:min(i+32, len(p.refs))])
		}
		p.read(t, r, i)
	}
	if grown := held() - before; grown > 6<<20 { // 16 blocks, and what is on its way
		t.Errorf("%d octets are held after 16 MiB", grown)
	}
	if got := s.gets(); got > 20 {
		t.Errorf("%d GETs", got)
	}
}

func BenchmarkHit(b *testing.B) {
	s := newStore()
	p := s.put(b, 1, 5000, 3000, nil) // 60 blocks, most of them on the disk alone
	r := s.open(b, nil)
	for i := range p.refs {
		p.read(b, r, i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := r.Chunk(b.Context(), p.refs[i*89%5000]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMiss reads blocks from a store in memory.
func BenchmarkMiss(b *testing.B) {
	s := newStore()
	p := s.put(b, 1, 200, 256<<10, nil)
	r := s.open(b, func(c *reader.Config) { c.Bytes = 1 << 20 })
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := r.Chunk(b.Context(), p.refs[i*7%200]); err != nil {
			b.Fatal(err)
		}
	}
}
