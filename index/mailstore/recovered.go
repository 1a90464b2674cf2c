package mailstore

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// Contents calls fn for each message of the mailbox, in UID order, from one moment: with its internal
// date, size and the SHA-256 of its octets, without trace fields that were put in front when it was
// delivered. So who appends messages anew finds which are there. hash is valid until fn returns.
func (m *Mailbox) Contents(ctx context.Context, fn func(date time.Time, size uint64, hash []byte) error) error {
	view, err := m.View(ctx)
	if err != nil {
		return err
	}
	return m.read(ctx, func(r kv.Reader, now index.Mailbox) error {
		return mailbox.WalkMessages(r, m.account.id, m.info.ID, view.UIDs,
			func(_ index.UID, _ *indexpb.FlagRecord, s *indexpb.Summary) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return fn(time.UnixMilli(s.InternalDate).UTC(), s.Size, s.ContentHash)
			})
	})
}
