package node

import (
	"math"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/staging"
)

// stagedAgain is how long what is staged on a node is taken for known.
const stagedAgain = time.Second

// drained is how long ago a pack must have become whole for what is staged to count as going away.
const drained = time.Minute

// stage is what waits on this node for object storage, in all replicas together.
type stage struct {
	mu     sync.Mutex // guards what follows
	looked time.Time
	bytes  uint64
	sought time.Time // when it was looked whether that goes away
	drains bool      // some partition lists its bodies, or made a pack of some a moment ago
}

// staged is how many octets wait on this node for object storage.
func (n *Node) staged() uint64 {
	return n.stage.look(n)
}

// stagingBound is what a partition may hold outside of packs, in octets: anything until the node as a whole
// has what the setting allows. Above it mail is put off, but not while what is staged goes away, as when
// a cluster with much mail has just been given a store.
func (n *Node) stagingBound() int64 {
	bound, problem := n.blobs.Problem()
	if bound == 0 {
		return math.MaxInt64
	}
	if n.stage.look(n) < uint64(bound) || problem == nil && n.stage.goes(n) {
		return math.MaxInt64
	}
	return 0
}

// look adds up what waits in the replicas of this node.
func (s *stage) look(n *Node) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.looked) >= stagedAgain {
		s.looked, s.bytes = now, 0
		s.each(n, func(_ kv.Reader, record *indexpb.BlobRecord) { s.bytes += record.StagedBytes })
	}
	return s.bytes
}

// goes says whether what waits goes away. It reads all packs of the partitions that have some.
func (s *stage) goes(n *Node) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.sought) < stagedAgain {
		return s.drains
	}
	s.sought, s.drains = now, false
	recent := now.Add(-drained).UnixMilli()
	s.each(n, func(r kv.Reader, record *indexpb.BlobRecord) {
		s.drains = s.drains || record.Mode == indexpb.BlobMode_BLOB_MODE_LISTING
		_ = staging.Packs(r, func(_ uint64, p *indexpb.PackRecord) error { // one that cannot be read was not made just now
			s.drains = s.drains || p.State == uint32(blobstore.PackWhole) && p.Since > recent
			return nil
		})
	})
	return s.drains
}

// each calls fn for all replicas of this node in which something waits for object storage. One that cannot be
// read is passed over: what is wrong with it shows elsewhere.
func (s *stage) each(n *Node, fn func(kv.Reader, *indexpb.BlobRecord)) {
	for _, r := range n.host.all() {
		if r.partition == nil {
			continue
		}
		snapshot := r.Snapshot()
		record, err := staging.Blobs(snapshot)
		waits := err == nil && record != nil && record.StagedBytes > 0 &&
			(record.Mode == indexpb.BlobMode_BLOB_MODE_LISTING || record.Mode == indexpb.BlobMode_BLOB_MODE_PACKED)
		if waits {
			fn(snapshot, record)
		}
		_ = snapshot.Close() // it was read
	}
}
