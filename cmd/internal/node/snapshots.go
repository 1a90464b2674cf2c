package node

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// Snapshots takes a snapshot of each replica of this node, one after the other.
func (n *Node) Snapshots(ctx context.Context) ([]adminapi.GroupSnapshot, error) {
	out := []adminapi.GroupSnapshot{}
	for _, r := range n.host.all() {
		start := time.Now()
		taken := adminapi.GroupSnapshot{Group: r.ID().String()}
		if err := r.TakeSnapshot(ctx); err != nil {
			taken.Error = err.Error()
		}
		taken.Milliseconds = float64(time.Since(start).Microseconds()) / 1000
		out = append(out, taken)
	}
	return out, ctx.Err()
}
