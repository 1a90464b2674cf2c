package reader

import "sync/atomic"

// Stats is what a Reader did since it was made, and what it holds.
type Stats struct {
	Hits    uint64 // chunks that were in the cache
	Misses  uint64 // chunks that were waited for
	Gets    uint64 // GETs, those that look after a store that is down among them
	Stats   uint64 // questions for an object's size
	Bytes   uint64 // octets that GETs gave
	Failed  uint64 // GETs that had no answer
	Damaged uint64 // chunks without their checksum, of the cache or the store
	Lost    uint64 // chunks without their checksum in the store
	Evicted uint64 // blocks that were dropped for others

	CachedBytes  int64 // octets of blocks on the disk
	CachedBlocks int
	DiskFailed   uint64 // blocks that could not be written to the disk, or read
	Down         bool   // the store does not answer
}

type counters struct {
	hits, misses, gets, stats, bytes, failed, damaged, lost, evicted atomic.Uint64
}

// Stats returns the counters.
func (r *Reader) Stats() Stats {
	c := &r.counts
	s := Stats{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Gets: c.gets.Load(), Stats: c.stats.Load(), Bytes: c.bytes.Load(),
		Failed: c.failed.Load(), Damaged: c.damaged.Load(), Lost: c.lost.Load(), Evicted: c.evicted.Load(),
		Down: r.breaker.allows() != nil,
	}
	s.CachedBytes, s.CachedBlocks, s.DiskFailed = r.shelf.holds()
	return s
}
