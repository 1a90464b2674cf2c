package mailstore

import (
	"errors"
	"fmt"
	"math"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/staging"
)

// room returns index.ErrStagingFull where a partition's bodies go to object storage and more of them wait
// for that than Config.StagingBound allows. It asks the local replica; without one there is room.
func (s *Store) room(g cluster.GroupID) error {
	bound := s.c.StagingBound()
	if bound == math.MaxInt64 {
		return nil
	}
	err := s.moment(g, func(r kv.Reader) error {
		rec, err := staging.Blobs(r)
		if err != nil || rec == nil {
			return err
		}
		packing := rec.Mode == indexpb.BlobMode_BLOB_MODE_LISTING || rec.Mode == indexpb.BlobMode_BLOB_MODE_PACKED
		if packing && rec.StagedBytes > uint64(max(bound, 0)) {
			return fmt.Errorf("%d octets wait in %v: %w", rec.StagedBytes, g, index.ErrStagingFull)
		}
		return nil
	})
	if errors.Is(err, cluster.ErrNoReplica) {
		return nil
	}
	return err
}
