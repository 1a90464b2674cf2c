package bodies

import (
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/packer"
)

// counts are what a node counted since it started.
type counts struct {
	requests       map[string]uint64 // by kind
	sent, received uint64            // octets
	bodies, octets uint64            // packed
	hits, misses   uint64
	damaged, lost  uint64
}

// plus adds two counts.
func (c counts) plus(d counts) counts {
	sum := counts{requests: map[string]uint64{}, sent: c.sent + d.sent, received: c.received + d.received,
		bodies: c.bodies + d.bodies, octets: c.octets + d.octets, hits: c.hits + d.hits, misses: c.misses + d.misses,
		damaged: c.damaged + d.damaged, lost: c.lost + d.lost}
	for _, kind := range object.Kinds() {
		name := kind.String()
		sum.requests[name] = c.requests[name] + d.requests[name]
	}
	return sum
}

// counts is what was asked of the store and the cache.
func (st *station) counts() counts {
	asked, read := st.count.Counts(), st.reader.Stats()
	c := counts{requests: map[string]uint64{}, sent: asked.Sent, received: asked.Received,
		hits: read.Hits, misses: read.Misses, damaged: read.Damaged, lost: read.Lost}
	for _, kind := range object.Kinds() {
		c.requests[kind.String()] = asked.Of(kind)
	}
	return c
}

// packed is what a worker packed.
func packed(s packer.Status) counts { return counts{bodies: s.Bodies, octets: s.Octets} }

// counts is what this node counted since it started.
func (s *Service) counts() counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := counts{}.plus(s.before)
	if s.station != nil {
		sum = sum.plus(s.station.counts())
	}
	for _, l := range s.leads {
		sum = sum.plus(packed(l.worker.Status()))
	}
	return sum
}
