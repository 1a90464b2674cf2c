package bodies

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/blobstore/scrub"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

const (
	// verifyFor is how long one Verify begins other packs.
	verifyFor = 20 * time.Second
	// maxProblems is how many problems of one Verify are told one by one.
	maxProblems = 1000
)

// Verify reads some packs of a partition that this node leads, and says what is wrong with them.
func (s *Service) Verify(ctx context.Context, v adminapi.BlobVerify) (out adminapi.BlobVerified, err error) {
	l := s.borrowLead(v.Partition)
	if l == nil {
		return out, fmt.Errorf("partition %d: %w, or there is no object store", v.Partition, cluster.ErrNotLeader)
	}
	defer l.station.users.Done()
	if l.station.failed != nil {
		return out, l.station.failed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.station.life, cancel)()
	more := 0
	r, err := scrub.Verify(ctx, scrub.Config{
		Bucket: l.station.bucket, Keys: l.station.keys.ClusterKey, Rate: v.Rate, After: v.After, For: verifyFor,
	}, l.part, func(f scrub.Finding) {
		if len(out.Problems) == maxProblems {
			more++
			return
		}
		out.Problems = append(out.Problems, f.String())
	})
	if err != nil {
		return out, err
	}
	if more > 0 {
		out.Problems = append(out.Problems, fmt.Sprintf("partition %d: and %d more", v.Partition, more))
	}
	out.After, out.More = r.Last, r.More
	out.Packs, out.Bodies, out.Bytes = r.Packs, r.Bodies, uint64(r.Octets)
	return out, nil
}
