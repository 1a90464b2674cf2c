package mailstore

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Mailbox is an opened mailbox. It holds no resources, survives renames, and is safe for concurrent
// use; once the mailbox was deleted, everything answers index.ErrGone.
type Mailbox struct {
	account *Account
	group   cluster.GroupID
	info    index.Mailbox
}

// ID returns the mailbox's id.
func (m *Mailbox) ID() index.MailboxID { return m.info.ID }

// Info returns the mailbox as it was when it was opened.
func (m *Mailbox) Info() index.Mailbox { return m.info }

// View returns what there is in the mailbox at one moment. The first time it reads a key for each 4,096
// UIDs, later what changed.
func (m *Mailbox) View(ctx context.Context) (v View, err error) {
	err = m.read(ctx, func(r kv.Reader, now index.Mailbox) error {
		v, err = m.account.store.views.read(r, m.account.id, now)
		return err
	})
	return v, err
}

// Unseen returns the UIDs without \Seen, without reading messages.
func (m *Mailbox) Unseen(ctx context.Context) (set *uidset.Set, err error) {
	err = m.read(ctx, func(r kv.Reader, _ index.Mailbox) error {
		set, err = mailbox.Unseen(r, m.account.id, m.info.ID)
		return err
	})
	return set, err
}

// Deleted returns the UIDs with \Deleted, without reading messages.
func (m *Mailbox) Deleted(ctx context.Context) (set *uidset.Set, err error) {
	err = m.read(ctx, func(r kv.Reader, _ index.Mailbox) error {
		set, err = mailbox.Deleted(r, m.account.id, m.info.ID)
		return err
	})
	return set, err
}

// Changes returns what happened after a modification sequence, up to one moment. The cost is that of
// the changes. A message that came and went in between is in Vanished alone.
func (m *Mailbox) Changes(ctx context.Context, since index.ModSeq) (c Changes, err error) {
	err = m.read(ctx, func(r kv.Reader, now index.Mailbox) error {
		c = Changes{Mailbox: now}
		if c.Changed, err = mailbox.Changed(r, m.account.id, m.info.ID, since); err != nil {
			return err
		}
		c.Vanished, _, err = mailbox.Vanished(r, m.account.id, m.info.ID, since)
		return err
	})
	return c, err
}

// Vanished returns the UIDs that were expunged after a modification sequence, as far as they are
// remembered, and whether that is all of them (RFC 7162, section 3.2.5.1).
func (m *Mailbox) Vanished(ctx context.Context, since index.ModSeq) (gone *uidset.Set, complete bool, err error) {
	err = m.read(ctx, func(r kv.Reader, _ index.Mailbox) error {
		gone, complete, err = mailbox.Vanished(r, m.account.id, m.info.ID, since)
		return err
	})
	return gone, complete, err
}

// Flags calls fn for each message that is in uids, in UID order, from one moment. UIDs that are no
// messages are passed over.
func (m *Mailbox) Flags(ctx context.Context, uids *uidset.Set, fn func(index.UID, index.FlagState) error) error {
	return m.read(ctx, func(r kv.Reader, now index.Mailbox) error {
		return mailbox.WalkFlags(r, m.account.id, m.info.ID, uids, func(u index.UID, rec *indexpb.FlagRecord) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fn(u, flagState(now.Keywords, rec))
		})
	})
}

// Messages calls fn for each message that is in uids, in UID order, from one moment. UIDs that are no
// messages are passed over. The Message is valid until fn returns.
func (m *Mailbox) Messages(ctx context.Context, uids *uidset.Set, fn func(Message) error) error {
	return m.read(ctx, func(r kv.Reader, now index.Mailbox) error {
		return mailbox.WalkMessages(r, m.account.id, m.info.ID, uids,
			func(u index.UID, flags *indexpb.FlagRecord, s *indexpb.Summary) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return fn(newMessage(u, flagState(now.Keywords, flags), s))
			})
	})
}

// read calls fn with one moment of the local replica and the mailbox as it is then.
func (m *Mailbox) read(ctx context.Context, fn func(kv.Reader, index.Mailbox) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.account.moment(func(r kv.Reader) error {
		now, err := m.at(r)
		if err != nil {
			return err
		}
		return fn(r, now)
	})
}

// at reads the mailbox as it is in r.
func (m *Mailbox) at(r kv.Reader) (index.Mailbox, error) {
	now, ok, err := mailbox.Load(r, m.account.id, m.info.ID)
	if err != nil {
		return index.Mailbox{}, fmt.Errorf("read mailbox %d of account %d: %w", m.info.ID, m.account.id, err)
	}
	if !ok || now.UIDValidity != m.info.UIDValidity {
		return index.Mailbox{}, index.ErrGone
	}
	return now, nil
}

func flagState(keywords []string, rec *indexpb.FlagRecord) index.FlagState {
	return index.FlagState{
		ModSeq: index.ModSeq(rec.ModSeq), System: index.Flags(rec.System), Keywords: mailbox.Words(keywords, rec),
	}
}
