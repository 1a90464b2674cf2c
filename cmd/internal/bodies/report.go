package bodies

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// Report is what a node says of its object storage.
type Report struct {
	Node       adminapi.BlobNode        `json:"node"`
	Partitions []adminapi.BlobPartition `json:"partitions"` // that it leads
	Keys       map[string]int           `json:"keys"`       // packs by the key they are under, of zeros without encryption
}

// Report tells how this node is doing. What is staged on it is the caller's to say.
func (s *Service) Report(ctx context.Context) Report {
	r := Report{Node: s.node(), Partitions: []adminapi.BlobPartition{}, Keys: map[string]int{}}
	for _, l := range s.leading() {
		p, packs, err := l.report(ctx)
		if err != nil {
			p.LastError = err.Error()
		}
		p.Leader = s.c.Node
		r.Partitions = append(r.Partitions, p)
		for _, info := range packs {
			r.Keys[fmt.Sprintf("%x", info.Key)]++
		}
	}
	return r
}

// leading gives the work of this node, by partition.
func (s *Service) leading() []*lead {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*lead, 0, len(s.leads))
	for _, l := range s.leads {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *lead) int { return cmp.Compare(a.part.Group(), b.part.Group()) })
	return all
}

func (s *Service) node() adminapi.BlobNode {
	c := s.counts()
	n := adminapi.BlobNode{Node: s.c.Node, Answers: true, Up: true, Since: s.began.UTC().Truncate(time.Second),
		Requests: c.requests, Sent: c.sent, Received: c.received, Packed: c.bodies, PackedBytes: c.octets,
		Cache: adminapi.BlobCache{Bound: uint64(s.c.CacheBytes), Hits: c.hits, Misses: c.misses, Damaged: c.damaged}}
	st := s.borrow()
	if st == nil {
		return n
	}
	defer st.users.Done()
	n.Cache.Bytes = uint64(st.reader.Stats().CachedBytes)
	n.StagingBound = uint64(st.setting.StagingBytes)
	if err := st.problem(); err != nil {
		n.Up, n.LastError = false, err.Error()
	}
	return n
}

// problem is why the store does not do what it should, or nil.
func (st *station) problem() error {
	if st.failed != nil {
		return st.failed
	}
	_, err := st.health.last()
	return err
}

// Problem is why the store does not answer, or nil; staging is how many octets may wait for it on a node, 0
// where there is no setting.
func (s *Service) Problem() (staging int64, err error) {
	st := s.borrow()
	if st == nil {
		return 0, nil
	}
	defer st.users.Done()
	return st.setting.StagingBytes, st.problem()
}

// report describes the partition and gives its packs.
func (l *lead) report(ctx context.Context) (p adminapi.BlobPartition, packs []blobstore.PackInfo, err error) {
	p = adminapi.BlobPartition{Partition: l.part.Group()}
	backlog, err := l.part.Status(ctx)
	if err != nil {
		return p, nil, err
	}
	p.Mode, p.StagedBytes, p.StagedBodies, p.StagedSince = backlog.Mode.String(), backlog.Bytes, backlog.Bodies, backlog.Since
	if packs, err = l.part.Packs(ctx); err != nil {
		return p, nil, err
	}
	for _, info := range packs {
		switch info.State {
		case blobstore.PackOpen:
			p.Open++
		case blobstore.PackWhole:
			p.Packs++
		case blobstore.PackDoomed:
			p.Doomed++
		}
		p.LiveBytes, p.LiveBodies = p.LiveBytes+info.LiveBytes, p.LiveBodies+info.LiveBodies
		p.DeadBytes, p.ObjectBytes = p.DeadBytes+info.DeadBytes, p.ObjectBytes+info.Size
	}
	status := l.worker.Status()
	p.Doing, p.Rate, p.LastError = doing(backlog, status), status.Rate, status.Err
	return p, packs, nil
}

// doing says in words what a partition is about.
func doing(backlog blobstore.Backlog, s packer.Status) string {
	switch {
	case backlog.Mode == blobstore.Listing:
		return "noting whose the bodies are"
	case backlog.Mode == blobstore.Homing:
		return fmt.Sprintf("bringing bodies home, %d octets done, %d left", s.Homed, s.HomeLeft)
	case s.Err != "":
		return "waiting for the store"
	case backlog.Mode == blobstore.Packed && s.Rate >= 1:
		return "packing"
	}
	return ""
}
