package mailstore

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/staging"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Bodies calls fn for each message that is in uids, in UID order, from one moment, with its octets.
// UIDs that are no messages are passed over. Message and Body are valid until fn returns; fn need not
// close the Body. Neighbours are found by a step of an iterator, where OpenBody seeks from the top with
// a snapshot of its own for each.
func (m *Mailbox) Bodies(ctx context.Context, uids *uidset.Set, fn func(Message, Body) error) error {
	return m.read(ctx, func(r kv.Reader, now index.Mailbox) error {
		walker, err := staging.NewWalker(r)
		if err != nil {
			return err
		}
		defer walker.Close()
		b := &body{chunks: walker.Chunk, codec: m.account.store.codec}
		return mailbox.WalkMessages(r, m.account.id, m.info.ID, uids,
			func(u index.UID, flags *indexpb.FlagRecord, s *indexpb.Summary) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				rec, err := walker.Record(index.BodyID(s.BodyId))
				if err != nil {
					return fmt.Errorf("open message %d: %w", u, err)
				}
				b.id, b.loaded = index.BodyID(s.BodyId), -1
				b.size, b.chunkSize = int64(rec.Size), int64(rec.ChunkSize)
				return fn(newMessage(u, flagState(now.Keywords, flags), s), b)
			})
	})
}
