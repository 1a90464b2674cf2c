package mailstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// UploadAge is how long an upload that nobody adds to is kept.
const UploadAge = time.Hour

// Maintain does what a partition's leader does from time to time: it sweeps abandoned uploads and
// drains deleted mailboxes, and removes kept mail whose time is over. It proposes nothing where there is
// nothing to do.
func (s *Store) Maintain(ctx context.Context, g cluster.GroupID, now time.Time) error {
	return errors.Join(s.SweepUploads(ctx, g, now), s.DrainKept(ctx, g), s.sweepHourly(ctx, g, now), s.DrainGraveyard(ctx, g))
}

// SweepUploads removes the uploads of a partition that were last added to more than UploadAge before
// now.
func (s *Store) SweepUploads(ctx context.Context, g cluster.GroupID, now time.Time) error {
	cmd := &indexpb.DropUploadsCommand{UntouchedSince: now.Add(-UploadAge).UnixMilli()}
	if err := s.untilDone(ctx, g, keys.TableUpload, command.DropUploads, cmd); err != nil {
		return fmt.Errorf("sweep uploads: %w", err)
	}
	return nil
}

// DrainGraveyard releases the bodies of a partition's deleted mailboxes, a bounded number with each
// command.
func (s *Store) DrainGraveyard(ctx context.Context, g cluster.GroupID) error {
	if err := s.untilDone(ctx, g, keys.TableGraveyard, command.DrainGraveyard, new(indexpb.DrainGraveyardCommand)); err != nil {
		return fmt.Errorf("drain deleted mailboxes: %w", err)
	}
	return nil
}

// DropAccount removes an account with all its mail. Its id is never used again.
func (s *Store) DropAccount(ctx context.Context, a index.AccountID) error {
	g, err := s.Account(a).group()
	if err != nil {
		return err
	}
	if _, err := s.change(ctx, g, command.DropAccount, &indexpb.DropAccountCommand{Account: uint64(a)}); err != nil {
		return fmt.Errorf("drop account %d: %w", a, err)
	}
	return nil
}

// untilDone proposes a command until its result says that no work is left, if table has any keys.
func (s *Store) untilDone(ctx context.Context, g cluster.GroupID, table keys.Table, k command.Kind, p payload) error {
	some, err := s.hasKeys(g, table)
	if err != nil || !some {
		return err
	}
	for {
		res, err := s.change(ctx, g, k, p)
		if err != nil || !res.More {
			return err
		}
	}
}

func (s *Store) hasKeys(g cluster.GroupID, table keys.Table) (bool, error) {
	some := false
	err := s.moment(g, func(r kv.Reader) error {
		prefix := keys.Whole(nil, table)
		it, err := r.Scan(prefix, keys.After(nil, prefix))
		if err != nil {
			return err
		}
		defer it.Close()
		some = it.First()
		return it.Error()
	})
	return some, err
}
