package mailstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// DrainKept files the messages of a partition's deleted mailboxes with the kept mail, a bounded number
// with each command.
func (s *Store) DrainKept(ctx context.Context, g cluster.GroupID) error {
	if err := s.untilDone(ctx, g, keys.TableKept, command.DrainKept, new(indexpb.DrainGraveyardCommand)); err != nil {
		return fmt.Errorf("keep deleted mailboxes: %w", err)
	}
	return nil
}

// sweepEvery is how often kept mail is looked through: that costs a look at every account that has some.
const sweepEvery = time.Hour

// swept remembers when each partition's kept mail was looked through.
type swept struct {
	mu sync.Mutex
	at map[cluster.GroupID]time.Time // guarded by mu
}

// due reports whether a partition's turn has come, and notes that it has.
func (s *swept) due(g cluster.GroupID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.at[g]; ok && now.Sub(last) < sweepEvery {
		return false
	}
	s.at[g] = now
	return true
}

// sweepHourly is SweepKept, no more often than every sweepEvery.
func (s *Store) sweepHourly(ctx context.Context, g cluster.GroupID, now time.Time) error {
	if !s.swept.due(g, now) {
		return nil
	}
	return s.SweepKept(ctx, g, now)
}

// SweepKept removes kept mail of a partition that was expunged longer than Config.Keep before now, up to
// mailbox.MaxMessages of a mailbox with each command.
func (s *Store) SweepKept(ctx context.Context, g cluster.GroupID, now time.Time) error {
	before := now.Add(-s.c.Keep())
	var accounts []index.AccountID
	err := s.moment(g, func(r kv.Reader) (err error) {
		accounts, err = mailbox.KeptAccounts(r)
		return err
	})
	if err != nil {
		return fmt.Errorf("find kept mail: %w", err)
	}
	for _, a := range accounts {
		if err := s.sweepAccount(ctx, g, a, before, now); err != nil {
			return fmt.Errorf("sweep mail kept for account %d: %w", mailbox.OwnerOf(a), err)
		}
	}
	return nil
}

// sweepAccount sweeps one account's kept mail.
func (s *Store) sweepAccount(ctx context.Context, g cluster.GroupID, a index.AccountID, before, now time.Time) error {
	for {
		var due []*indexpb.ExpungeCommand
		err := s.moment(g, func(r kv.Reader) (err error) {
			due, err = mailbox.KeptBefore(r, a, before)
			return err
		})
		if err != nil || len(due) == 0 {
			return err
		}
		for _, cmd := range due {
			cmd.ForgetBefore = now.UnixMilli() // nobody resynchronises with kept mail
			if _, err := s.change(ctx, g, command.Expunge, cmd); err != nil {
				return err
			}
		}
	}
}
