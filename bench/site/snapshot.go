package site

import (
	"context"
	"time"
)

// Snapshot makes the first node take snapshots of all groups and tells how long the longest took. What
// was left in memory is written down by a first round, which does not count.
func (s *Rookery) Snapshot(ctx context.Context) (time.Duration, error) {
	longest := 0.0
	for range 2 {
		var groups []struct {
			Milliseconds float64 `json:"milliseconds"`
			Error        string  `json:"error"`
		}
		if err := s.nodes[0].json(ctx, &groups, "debug", "snapshot"); err != nil {
			return 0, err
		}
		longest = 0
		for _, g := range groups {
			if g.Error == "" {
				longest = max(longest, g.Milliseconds)
			}
		}
	}
	return time.Duration(longest * float64(time.Millisecond)), nil
}
