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
		var old []directory.MailChange
		gather := func(v directory.View, kind directory.MailKind, over func(*directorypb.MailRecord) bool) error {
			return v.EachMailRecord(kind, "", func(r *directorypb.MailRecord) error {
				if over(r) && len(old) < sweptAtOnce {
					old = append(old, directory.MailChange{Record: r, Remove: true, Expected: &r.Version})
				}
				return nil
			})
		}
		before := egress.DayOf(now.Add(-keepVolumes))
		err := d.View(func(v directory.View) error {
			if err := gather(v, directory.MailVolume, func(r *directorypb.MailRecord) bool { return r.Name < before }); err != nil {
				return err
			}
			return gather(v, directory.MailBlock, func(r *directorypb.MailRecord) bool {
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
