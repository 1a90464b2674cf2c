package node

import (
	"math"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
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
	drains bool // some partition lists its bodies, or made a pack of some a moment ago
}

// staged is how many octets wait on this node for object storage.
func (n *Node) staged() uint64 {
	bytes, _ := n.stage.look(n)
	return bytes
}

// stagingBound is what a partition may hold outside of packs, in octets: anything until the node as a whole
// has what the setting allows. Above it mail is put off, but not while what is staged goes away, as when
// a cluster with much mail has just been given a store.
func (n *Node) stagingBound() int64 {
	bound, problem := n.blobs.Problem()
	if bound == 0 {
		return math.MaxInt64
	}
	bytes, drains := n.stage.look(n)
	if bytes < uint64(bound) || drains && problem == nil {
		return math.MaxInt64
	}
	return 0
}

// look adds up what the replicas of this node say.
func (s *stage) look(n *Node) (bytes uint64, drains bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.looked) < stagedAgain {
		return s.bytes, s.drains
	}
	s.looked, s.bytes, s.drains = now, 0, false
	for _, r := range n.host.all() {
		if r.partition == nil {
			continue
		}
		bytes, drains := stagedIn(r, now)
		s.bytes += bytes
		s.drains = s.drains || drains
	}
	return s.bytes, s.drains
}

// stagedIn is what one replica says. One that cannot be read says nothing: what is wrong with it shows elsewhere.
func stagedIn(r *replica, now time.Time) (bytes uint64, drains bool) {
	snapshot := r.Snapshot()
	defer snapshot.Close()
	record, err := staging.Blobs(snapshot)
	if err != nil || record == nil || record.StagedBytes == 0 {
		return 0, false
	}
	switch record.Mode {
	case indexpb.BlobMode_BLOB_MODE_LISTING:
		return record.StagedBytes, true
	case indexpb.BlobMode_BLOB_MODE_PACKED:
	default: // it waits for nothing: it comes home, or is there
		return 0, false
	}
	recent := now.Add(-drained).UnixMilli()
	_ = staging.Packs(snapshot, func(_ uint64, p *indexpb.PackRecord) error {
		drains = drains || p.State == uint32(blobstore.PackWhole) && p.Since > recent
		return nil
	})
	return record.StagedBytes, drains
}
