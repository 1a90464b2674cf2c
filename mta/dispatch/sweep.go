package dispatch

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/egress"
)

// How long records are kept that nobody goes by any more: what was sent, since clocks of nodes differ and people look,
// and blocks, since the next one is longer.
const (
	keepVolumes = 7 * 24 * time.Hour
	keepBlocks  = 14 * 24 * time.Hour
)

// sweptAtOnce is how many records one step removes.
const sweptAtOnce = 500

// Sweep removes records of days that are over, and blocks that ended long ago. It is for the leader of the directory, now
// and then.
func Sweep(ctx context.Context, d Directory, now time.Time) error {
	for {
		var old []directory.SendingChange
		gather := func(v directory.View, kind directory.SendingKind, over func(*directorypb.Sending) bool) error {
			return v.EachSending(kind, "", func(r *directorypb.Sending) error {
				if over(r) && len(old) < sweptAtOnce {
					old = append(old, directory.SendingChange{Record: r, Remove: true, Expected: &r.Version})
				}
				return nil
			})
		}
		before := egress.DayOf(now.Add(-keepVolumes))
		err := d.View(func(v directory.View) error {
			if err := gather(v, directory.SendingVolume, func(r *directorypb.Sending) bool { return r.Name < before }); err != nil {
				return err
			}
			return gather(v, directory.SendingBlock, func(r *directorypb.Sending) bool {
				return r.GetBlock().GetUntil() < now.Add(-keepBlocks).UnixMilli()
			})
		})
		if err != nil || len(old) == 0 {
			return err
		}
		if err := d.Put(ctx, old...); err != nil {
			return err
		}
	}
}
